import JSONCodec
import PickleCodec

/// libFuzzer's entry: everything the library does with bytes, once. What is a value must survive writing and reading.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPickle(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: data == nil ? 0 : size))
    var disassembler = PickleDisassembler()
    disassembler.maximumOpcodes = 200
    _ = disassembler.disassemble(bytes)
    guard let graph = try? PickleGraph(decoding: bytes) else { return 0 }
    _ = PickleAudit(of: bytes)
    bytes.withUnsafeBytes { bytes in
        writeJSON(bytes)
        compareScan(bytes)
    }
    for version in 0...5 {
        guard let written = try? graph.encoded(protocolVersion: version) else { continue }
        guard let again = try? PickleGraph(decoding: written), again.kind(of: again.root) == graph.kind(of: graph.root)
        else { fatalError("protocol \(version) is not read back") }
    }
    var limits = PickleLimits()
    limits.maximumTreeValues = 10_000
    if let value = try? PickleValue(decoding: bytes, limits: limits) {
        guard value == value, value.hashValue == value.hashValue else { fatalError("not equal to itself") }
        _ = value.description
        _ = (value.dateTime, value.date, value.time, value.timeDelta, value.decimal, value.uuid, value.complex)
        _ = (value.fraction, value.mapping, value.deque, value.namedTuple, value.enumMember, value.zoneInfoKey)
    }
    return 0
}

private func writeJSON(_ bytes: UnsafeRawBufferPointer) {
    var document = PickleDocument()
    var writer = JSONWriter()
    var attachments: [PickleDocument.Node] = []
    var policy = PickleJSONPolicy()
    policy.maximumOutputBytes = 1 << 16
    guard (try? document.parse(bytes)) != nil else { return }
    try? document.writeJSON(document.root, to: &writer, attachments: &attachments, policy: policy)
}

/// What the scan of a message finds must be what the full parse does.
private func compareScan(_ bytes: UnsafeRawBufferPointer) {
    var scan = PickleScan()
    var document = PickleDocument()
    guard scan.scan(bytes), (try? document.parse(bytes)) != nil else { return }
    var found: [[UInt8]: PickleScan.Node] = [:]
    for index in 0..<scan.count {
        found[scan.text(of: scan.key(at: index)).map(Array.init) ?? []] = scan.value(at: index)
    }
    guard document.kind(of: document.root) == .dict, document.count(of: document.root) == found.count else {
        fatalError("the scan found other keys")
    }
    var pairs = document.pairs(of: document.root)
    while let (key, value) = pairs.next(in: document) {
        guard let node = document.bytes(of: key).flatMap({ found[Array($0)] }) else {
            fatalError("the scan lost a key")
        }
        guard let kind = scan.kind(of: node) else { continue }
        let isText = kind == .str
        guard kind == document.kind(of: value), scan.int64(node) == document.int64(value),
            !isText || scan.text(of: node).map(Array.init) == document.bytes(of: value).map(Array.init)
        else { fatalError("the scan found another value") }
    }
}
