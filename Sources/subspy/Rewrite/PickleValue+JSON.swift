import JSONCodec
import PickleCodec
import PubSubMessages

extension PickleValue {
    /// The Python value that `json.loads` makes of a JSON value.
    init(_ node: JSONDocument.Node, of document: borrowing JSONDocument) {
        switch document.kind(of: node) {
        case .null: self = .null
        case .bool: self = .bool(document.bool(node) ?? false)
        case .integer:
            if let value = document.int64(node) {
                self = .int(Int(value))
            } else {
                self = .bigInt(PickleBigInt(twosComplement: DecimalInteger.twosComplement(document.source(of: node))))
            }
        case .float: self = .float(document.double(node) ?? 0)
        case .string: self = .text(document.byteString(node) ?? "")
        case .array:
            var items: [PickleValue] = []
            for element in document.elements(of: node) { items.append(PickleValue(element, of: document)) }
            self = .list(items)
        case .object:
            var pairs: [PickleDict.Pair] = []
            for (key, value) in document.members(of: node) {
                pairs.append(
                    PickleDict.Pair(key: .text(document.byteString(key) ?? ""), value: PickleValue(value, of: document))
                )
            }
            self = .dict(PickleDict(pairs))
        }
    }

    /// A str, in which a lone surrogate may stand.
    static func text(_ text: ByteString) -> PickleValue {
        text.withUnsafeBytes { bytes in
            String(validating: bytes, as: UTF8.self).map { .string($0) } ?? .surrogateString(Array(bytes))
        }
    }

    /// The content of a str; nil for other values.
    var textContent: ByteString? {
        switch self {
        case .string(let text): ByteString(text)
        case .surrogateString(let bytes): ByteString(bytes: bytes)
        case .byteString(let bytes): ByteString(bytes: bytes)
        default: nil
        }
    }

    /// Whether the value is this text, byte for byte.
    func isText(_ text: StaticString) -> Bool {
        textContent == ByteString(stringLiteral: text)
    }

    /// JSON text by the codec's own rules.
    ///
    /// - Parameter attachments: gets the bytes that stand in the value, in the order of their placeholders.
    func json(attachments: inout [[UInt8]]) throws -> [UInt8] {
        let pickle = try encoded(protocolVersion: 5)
        var document = PickleDocument()
        var writer = JSONWriter(capacity: pickle.count)
        try pickle.withUnsafeBytes { bytes in
            var nodes: [PickleDocument.Node] = []
            try document.parse(bytes)
            try document.writeJSON(document.root, to: &writer, attachments: &nodes)
            for node in nodes { attachments.append(document.bytes(of: node).map { Array($0) } ?? []) }
        }
        return writer.copyBytes()
    }
}
