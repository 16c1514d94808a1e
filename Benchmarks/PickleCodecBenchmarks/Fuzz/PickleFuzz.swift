import Bytes
import PickleCodec
import PubSubMessages

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
        compareFastLane(bytes)
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

/// The fast lane must change nothing: neither the message nor its event.
private func compareFastLane(_ bytes: UnsafeRawBufferPointer) {
    let outcomes = [true, false].map { usesFastLane -> String in
        let decoder = PubSubMessageDecoder(hostID: "own", usesFastLane: usesFastLane)
        do {
            let message = try decoder.decode(bytes)
            guard case .emit = message else { return "\(message)" }
            return "\(message) \(try decoder.encodeEvent())"
        } catch { return "\(error)" }
    }
    guard outcomes[0] == outcomes[1] else { fatalError("the fast lane says \(outcomes[0]), the parser \(outcomes[1])") }
}
