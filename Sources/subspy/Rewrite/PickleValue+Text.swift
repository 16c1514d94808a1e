import Bytes
import JSONCodec
import PickleCodec
import PubSubMessages

/// A value or message that can't be written in the wanted format.
struct Refusal: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension PickleValue {
    /// The protocol of a pickle: the argument of PROTO, which protocols 0 and 1 don't have.
    static func protocolVersion<Bytes: RandomAccessCollection>(of payload: Bytes) -> Int
    where Bytes.Element == UInt8, Bytes.Index == Int {
        payload.first == 0x80 && payload.count > 1 ? min(Int(payload[payload.startIndex + 1]), 5) : 0
    }

    /// A str, in which a lone surrogate may stand.
    static func text(_ text: ByteString) -> PickleValue {
        unsafe text.withUnsafeBytes { bytes in
            unsafe String(validating: bytes, as: UTF8.self).map { .string($0) } ?? .surrogateString(Array(bytes))
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

    /// Compares the value with a text, byte for byte.
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
        try unsafe pickle.withUnsafeBytes { bytes in
            var nodes: [PickleDocument.Node] = []
            try unsafe document.parse(bytes)
            try document.writeJSON(document.root, to: &writer, attachments: &nodes)
            for node in nodes { unsafe attachments.append(document.bytes(of: node).map { unsafe Array($0) } ?? []) }
        }
        return writer.copyBytes()
    }
}
