import Bytes
import PickleCodec

/// Writes values as Python's `repr` does, into a buffer that is reused.
///
/// | value | written |
/// |---|---|
/// | text | `'it'`, `"it's"`; what `str.isprintable` refuses as `\xad`, `\u2028`, `\U000e0001` |
/// | bytes, bytearray | `b'\x00A'`, `bytearray(b'')` |
/// | numbers | `1`, `-0.0`, `1e-05`, `nan`, `inf`; ints of more than 4,300 digits in hexadecimal |
/// | containers | `(1,)`, `[1, 2]`, `{'a': None}`, `{1}`, `set()`, `frozenset({1})`; `[...]` inside itself |
/// | names, objects | `<os.system>`, `<os.system('id')>`: what it would call, and nothing called |
///
/// Sets are in the pickle's order: Python's own depends on the process.
struct PythonRepr: ~Copyable, ValueSpelling {
    static let words = SpellingWords(
        comma: ", ", colon: ": ", none: "None", true: "True", false: "False", nan: "nan", infinity: "inf",
        negativeInfinity: "-inf", hidden: "'***'", hasTags: false)

    var output = JSONWriter(capacity: 4096)
    /// Longest text.
    var maximumBytes: Int
    let redaction: Redaction
    var open: Set<PickleNode> = []
    var data: PickleNode?
    var hiddenAttachments: Set<Int> = []

    init(maximumBytes: Int = Limits.leastTextBytes, redaction: Redaction = .none) {
        self.maximumBytes = maximumBytes
        self.redaction = redaction
    }

    /// Forgets what was written; keeps the capacity.
    mutating func removeAll() {
        output.removeAll()
        open.removeAll()
        hiddenAttachments.removeAll()
    }

    func checkLength() throws(TooLong) {
        if output.count > maximumBytes { throw TooLong() }
    }

    // MARK: Scalars

    mutating func append(bigInteger bytes: UnsafeRawBufferPointer) {
        guard bytes.count > Limits.decimalIntegerBytes else {
            return unsafe output.appendDecimal(twosComplement: bytes)
        }
        let isNegative = unsafe bytes.last.map { $0 >= 0x80 } ?? false
        if isNegative { append("-") }
        append("0x")
        // The lowest byte that isn't zero ends the carry of a negation.
        let firstSet = unsafe bytes.firstIndex { $0 != 0 } ?? 0
        for index in bytes.indices.reversed() {
            var byte = unsafe bytes[index]
            if isNegative { byte = index > firstSet ? ~byte : 0 &- byte }
            output.appendHexadecimal(UInt32(byte), digits: 2)
        }
    }

    // MARK: Text

    /// A str, given as UTF-8 in which lone surrogates may stand.
    mutating func append(text: UnsafeRawBufferPointer) {
        let quote = unsafe Self.quote(for: text)
        output.append(quote)
        unsafe append(content: text, quote: quote)
        output.append(quote)
    }

    mutating func append(key: UnsafeRawBufferPointer) { unsafe append(text: key) }

    /// bytes, or a Python 2 str that isn't ASCII.
    ///
    /// - Parameter escapesApostrophes: also between double quotes, as CPython does in a bytearray.
    mutating func append(bytes: UnsafeRawBufferPointer, escapesApostrophes: Bool = false) {
        let quote = unsafe Self.quote(for: bytes)
        let escaped = escapesApostrophes ? UInt8(ascii: "'") : quote
        append("b")
        output.append(quote)
        for index in bytes.indices {
            let byte = unsafe bytes[index]
            if isUnescaped(byte, quote: escaped) {
                output.append(byte)
            } else {
                appendEscape(UInt32(byte), quote: escaped)
            }
        }
        output.append(quote)
    }

    /// Double quotes only where that spares escapes.
    private static func quote(for text: UnsafeRawBufferPointer) -> UInt8 {
        unsafe text.contains(UInt8(ascii: "'")) && !text.contains(UInt8(ascii: "\""))
            ? UInt8(ascii: "\"") : UInt8(ascii: "'")
    }

    mutating func appendEscape(_ scalar: UInt32, quote: UInt8) {
        guard scalar == UInt32(quote) || scalar == 0x5C else {
            return PrintableText.appendEscape(of: scalar, to: &output)
        }
        output.append(UInt8(ascii: "\\"))
        output.append(UInt8(truncatingIfNeeded: scalar))
    }

    // MARK: Pickle

    /// - Parameter kind: CPython escapes apostrophes between double quotes too in a bytearray.
    mutating func append(bytes: UnsafeRawBufferPointer, _ kind: PickleKind) {
        guard kind == .bytearray else { return unsafe append(bytes: bytes) }
        append("bytearray(")
        unsafe append(bytes: bytes, escapesApostrophes: true)
        append(")")
    }

    static func brackets(of kind: PickleKind, count: Int) -> (opening: StaticString, closing: StaticString) {
        switch kind {
        case .tuple: ("(", count == 1 ? ",)" : ")")
        case .set: count == 0 ? ("set(", ")") : ("{", "}")
        case .frozenset: count == 0 ? ("frozenset(", ")") : ("frozenset({", "})")
        default: ("[", "]")
        }
    }

    mutating func appendCycle(_ kind: PickleKind) {
        switch kind {
        case .list: append("[...]")
        case .tuple: append("(...)")
        case .frozenset: append("frozenset(...)")
        case .set: append("set(...)")
        case .dict: append("{...}")
        default: append("<...>")
        }
    }

    /// Writes `<module.name>`, `<persistent id …>`, or the object that unpickling would make:
    /// `<module.Class(arguments) state={…} items=[…] pairs={…}>`.
    mutating func append(object node: PickleNode, of document: borrowing PickleDocument) throws(TooLong) {
        append("<")
        defer { append(">") }
        switch document.kind(of: node) {
        case .global: return appendName(node, of: document)
        case .persistentID:
            append("persistent id ")
            if let id = document.persistentID(node) { try append(id, of: document) }
            return
        default: break
        }
        guard let object = document.object(node) else { return }
        if document.kind(of: object.callable) == .global {
            appendName(object.callable, of: document)
        } else {
            try append(object.callable, of: document)
        }
        append("(")
        if !redaction.isEmpty, case .pairList(let items)? = document.builtinContent(of: node) {
            try append(pairList: items, of: document)
        } else {
            try append(document.elements(of: object.arguments), of: document)
        }
        if let keywords = object.keywords {
            if document.count(of: object.arguments) > 0 { append(", ") }
            append("**")
            try append(keywords, of: document)
        }
        append(")")
        var states = object.states
        while let state = states.next(in: document) {
            append(" state=")
            try append(state, of: document)
        }
        if object.items.remaining > 0 {
            append(" items=[")
            try append(object.items, of: document)
            append("]")
        }
        var pairs = object.pairs
        if pairs.next(in: document) != nil {
            append(" pairs=")
            try append(object.pairs, of: document)
        }
        if object.adds.remaining > 0 {
            append(" adds={")
            try append(object.adds, of: document)
            append("}")
        }
    }

    /// `module.name`; quoted like a text where that isn't a plain name.
    private mutating func appendName(_ node: PickleNode, of document: borrowing PickleDocument) {
        guard let name = unsafe document.global(node) else { return }
        for unsafe(index, part) in unsafe [name.module, name.name].enumerated() {
            if index > 0 { append(".") }
            if unsafe part.allSatisfy(Self.isNameByte) {
                unsafe output.append(raw: part)
            } else {
                unsafe append(text: part)
            }
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), 0x30...0x39, 0x5F, 0x2E: true
        default: false
        }
    }
}
