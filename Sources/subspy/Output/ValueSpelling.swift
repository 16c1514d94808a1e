import JSONCodec
import PickleCodec

/// A way to spell values: Python's repr or JSON. The values are walked here once for both.
protocol ValueSpelling: ~Copyable {
    /// `, ` or `,`; `: ` or `:`.
    static var comma: StaticString { get }
    static var colon: StaticString { get }
    /// None, and the text in the place of a hidden value.
    static var none: StaticString { get }
    static var hidden: StaticString { get }
    /// True when an object with a single key that begins with `$` has another meaning, so that a dict must not look so.
    static var hasTags: Bool { get }

    /// The values to be hidden.
    var redaction: Redaction { get }
    /// Attachments of the message in hand whose placeholders stand in hidden values.
    var hiddenAttachments: Set<Int> { get set }

    /// - Throws: when the text has become too long.
    func checkLength() throws(TooLong)
    mutating func append(_ literal: StaticString)
    mutating func append(raw bytes: UnsafeRawBufferPointer)
    mutating func append(bool value: Bool)
    mutating func append(int value: Int64)
    /// An int beyond 64 bits, as little-endian two's complement.
    mutating func append(bigInteger bytes: UnsafeRawBufferPointer)
    mutating func append(float value: Double)
    /// A str, given as UTF-8 in which lone surrogates may stand.
    mutating func append(text: UnsafeRawBufferPointer)
    /// The same as a key of a dict.
    mutating func append(key: UnsafeRawBufferPointer)
    /// bytes, a bytearray, or a str of Python 2 that isn't ASCII.
    mutating func append(bytes: UnsafeRawBufferPointer, _ kind: PickleKind)
    /// The text before and after the items of a list, tuple, set or frozenset.
    static func brackets(of kind: PickleKind, count: Int) -> (opening: StaticString, closing: StaticString)
    /// A container inside itself.
    mutating func appendCycle(_ kind: PickleKind)
    /// A class or function by its name, an object, or a persistent id.
    mutating func append(
        object node: PickleNode, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong)
}

/// A text would be longer than the limit: shared values are written at each place, so that a hundred bytes could ask for a
/// terabyte.
struct TooLong: Error {}

extension ValueSpelling where Self: ~Copyable {
    /// Writes a value of a JSON text as what `json.loads` makes of it.
    mutating func append(_ node: JSONDocument.Node, of document: borrowing JSONDocument) throws(TooLong) {
        try checkLength()
        switch document.kind(of: node) {
        case .null: append(Self.none)
        case .bool: append(bool: document.bool(node) ?? false)
        case .integer:
            let source = document.source(of: node)
            // Python's int has no negative zero; everything else is spelled as it stands.
            if source.elementsEqual("-0".utf8) { append("0") } else { append(raw: source) }
        case .float: append(float: document.double(node) ?? 0)
        case .string: appendString(node, isKey: false, of: document)
        case .array: try appendArray(node, of: document, isData: false)
        case .object: try appendObject(node, of: document)
        }
    }

    /// - Parameter isData: `data` of the message, in which base64 stands for the placeholders after the first element.
    mutating func appendArray(
        _ node: JSONDocument.Node, of document: borrowing JSONDocument, isData: Bool
    ) throws(TooLong) {
        append("[")
        for (index, element) in document.elements(of: node).enumerated() {
            if index > 0 { append(Self.comma) }
            if isData, hiddenAttachments.contains(index - 1) {
                append(Self.hidden)
            } else {
                try append(element, of: document)
            }
        }
        append("]")
    }

    private mutating func appendObject(
        _ node: JSONDocument.Node, of document: borrowing JSONDocument
    ) throws(TooLong) {
        let isPairs = Self.hasTags && document.looksLikeTag(node)
        append(isPairs ? "{\"$dict\":[[" : "{")
        var isFirst = true
        for (key, value) in document.members(of: node) {
            if !isFirst { append(Self.comma) }
            isFirst = false
            appendString(key, isKey: true, of: document)
            append(isPairs ? Self.comma : Self.colon)
            if redaction.hides(key, of: document) {
                append(Self.hidden)
                document.collectPlaceholders(in: value, into: &hiddenAttachments)
            } else if node == document.root, document.kind(of: value) == .array, document.isString(key, equalTo: "data")
            {
                try appendArray(value, of: document, isData: true)
            } else {
                try append(value, of: document)
            }
        }
        append(isPairs ? "]]}" : "}")
    }

    private mutating func appendString(
        _ node: JSONDocument.Node, isKey: Bool, of document: borrowing JSONDocument
    ) {
        if let content = document.unescapedContent(of: node) {
            if isKey { append(key: content) } else { append(text: content) }
        } else if let content = document.byteString(node) {
            // Copied first: writing while borrowing the text would need two accesses to `self`.
            content.bytes.withUnsafeBytes { if isKey { append(key: $0) } else { append(text: $0) } }
        }
    }
}

extension JSONDocument {
    /// True for an object with a single key that begins with `$`.
    func looksLikeTag(_ object: Node) -> Bool {
        var members = members(of: object)
        guard let (key, _) = members.next(), members.next() == nil else { return false }
        return byteString(key)?.bytes.first == UInt8(ascii: "$")
    }
}
