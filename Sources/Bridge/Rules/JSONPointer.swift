import Bytes
import JSONCodec
import PubSubMessages

/// A place in a JSON value, such as `/sku` (RFC 6901).
package struct JSONPointer: Hashable, Sendable, CustomStringConvertible {
    /// Keys of objects or indices of arrays, from the outermost, escapes resolved.
    private let tokens: [ByteString]

    /// Nil if the text is not empty and doesn't begin with `/`, or a `~` in it isn't `~0` (for `~`) or `~1` (for `/`).
    init?(_ text: String) {
        var tokens: [[UInt8]] = []
        var rest = ArraySlice(text.utf8)
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "/") {
                tokens.append([])
                continue
            }
            guard let last = tokens.indices.last else { return nil }
            guard byte == UInt8(ascii: "~") else {
                tokens[last].append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "0"): tokens[last].append(UInt8(ascii: "~"))
            case UInt8(ascii: "1"): tokens[last].append(UInt8(ascii: "/"))
            default: return nil
            }
        }
        self.tokens = tokens.map { ByteString(bytes: $0) }
    }

    /// The text that it was made of, on one line for logs.
    package var description: String {
        tokens.map { token in
            "/\(token.description.replacing("~", with: "~0").replacing("/", with: "~1"))"
        }.joined()
    }

    /// The value at this place below a value, nil if there is none. `-`, the element after an array's last, never is.
    func value(in document: borrowing JSONDocument, at root: JSONDocument.Node) -> JSONDocument.Node? {
        var node = root
        for token in tokens {
            let child =
                switch document.kind(of: node) {
                case .object:
                    unsafe token.withUnsafeBytes { unsafe document.value(forKey: $0, in: node) }
                case .array: Self.index(token).flatMap { Self.element($0, of: node, in: document) }
                default: JSONDocument.Node?.none
                }
            guard let child else { return nil }
            node = child
        }
        return node
    }

    /// The text of a string, or the digits of an integer, at this place; nil if there is neither.
    func text(in document: borrowing JSONDocument, at root: JSONDocument.Node) -> ByteString? {
        guard let node = value(in: document, at: root) else { return nil }
        return switch document.kind(of: node) {
        case .string: document.byteString(node)
        case .integer: unsafe ByteString(document.source(of: node))
        default: nil
        }
    }

    /// The text or integer at this place in the first argument of an event; nil if there is neither.
    ///
    /// - Parameter document: scratch space.
    func text(inFirstArgumentOf event: EncodedEvent, using document: inout JSONDocument) -> ByteString? {
        do {
            try unsafe document.parse(event.json)
        } catch {
            return nil
        }
        var elements = document.elements(of: document.root)
        guard elements.next() != nil, let argument = elements.next() else { return nil }
        return text(in: document, at: argument)
    }

    /// Digits without a leading zero.
    private static func index(_ token: ByteString) -> Int? {
        let bytes = token.bytes
        guard bytes.allSatisfy({ (0x30...0x39).contains($0) }), bytes.count == 1 || bytes.first != 0x30 else {
            return nil
        }
        return Int(token.text)
    }

    private static func element(
        _ index: Int, of array: JSONDocument.Node, in document: borrowing JSONDocument
    ) -> JSONDocument.Node? {
        var left = index
        for element in document.elements(of: array) {
            if left == 0 { return element }
            left -= 1
        }
        return nil
    }
}
