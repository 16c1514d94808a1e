import Bytes
import PickleCodec
import PubSubMessages

/// Writes values as one line of JSON, fit for jq, from which `subspy encode` makes the same Python values; a buffer that is
/// reused.
///
/// A value without a JSON type is an object with one key, its tag:
///
/// | Python | JSON |
/// |---|---|
/// | None, bool, int, float, str, list, dict with texts as keys | as it is |
/// | tuple, set, frozenset | `{"$tuple":[1]}`, `{"$set":[1]}`, `{"$frozenset":[1]}` |
/// | bytes, bytearray | `{"$bytes":"QQ=="}`, `{"$bytearray":"QQ=="}` |
/// | nan, inf, -inf | `{"$float":"nan"}`, `"inf"`, `"-inf"` |
/// | dict with other keys, or with one key that begins with `$` | `{"$dict":[[1,2]]}`: its pairs |
/// | str of Python 2 | the text where it is ASCII, else `{"$str2":"6Q=="}` |
///
/// These are shown and can't be read back; ``refusal`` says so:
///
/// | Python | JSON |
/// |---|---|
/// | dict, list, text and number subclasses, enum members | what they hold |
/// | other objects and names | `{"$object":"<os.system('id')>"}`: Python's repr of what would be called |
/// | a container inside itself | `{"$cycle":true}` |
/// | int of more than 98 digits | its digits; beyond 4,300 a text in hexadecimal |
///
/// Characters that can be printed stand as they are, all others as escapes.
struct JSONText: ~Copyable, ValueSpelling {
    static let words = SpellingWords(
        comma: ",", colon: ":", none: "null", true: "true", false: "false", nan: "{\"$float\":\"nan\"}",
        infinity: "{\"$float\":\"inf\"}", negativeInfinity: "{\"$float\":\"-inf\"}", hidden: "\"***\"", hasTags: true)

    var output = JSONWriter(capacity: 4096)
    /// Spells objects, which JSON can't express.
    var repr: PythonRepr
    let redaction: Redaction
    /// Characters shown of each text, bytes of each bytes value.
    let maximumTextLength: Int?
    /// As in ``PythonRepr``.
    var open: Set<PickleNode> = []
    var data: PickleNode?
    var hiddenAttachments: Set<Int> = []
    /// The reason why the text can't be read back; nil when it can.
    var refusal: StaticString?

    init(redaction: Redaction = .none, maximumTextLength: Int? = nil) {
        self.redaction = redaction
        self.maximumTextLength = maximumTextLength
        repr = PythonRepr(redaction: redaction)
    }

    mutating func removeAll() {
        output.removeAll()
        open.removeAll()
        hiddenAttachments.removeAll()
        refusal = nil
    }

    func checkLength() throws(TooLong) {
        if output.count > repr.maximumBytes { throw TooLong() }
    }

    /// An int beyond 64 bits; as a text in hexadecimal where Python doesn't print it either.
    mutating func append(bigInteger bytes: UnsafeRawBufferPointer) {
        if bytes.count > Limits.readableIntegerBytes { refusal = "an int of more than 98 digits is not read back" }
        repr.removeAll()
        unsafe repr.append(bigInteger: bytes)
        let isDecimal = unsafe repr.output.withUnsafeBytes { unsafe !$0.contains(UInt8(ascii: "x")) }
        if !isDecimal { append("\"") }
        unsafe repr.output.withUnsafeBytes { unsafe output.append(raw: $0) }
        if !isDecimal { append("\"") }
    }

    mutating func append(bytes: UnsafeRawBufferPointer, _ kind: PickleKind) {
        append(kind == .bytes ? "{\"$bytes\":\"" : kind == .bytearray ? "{\"$bytearray\":\"" : "{\"$str2\":\"")
        let shown = unsafe UnsafeRawBufferPointer(rebasing: bytes.prefix(maximumTextLength ?? bytes.count))
        unsafe output.appendBase64(shown)
        append(shown.count < bytes.count ? "…\"}" : "\"}")
    }

    /// A text in quotes, cut where that was asked for.
    mutating func append(text: UnsafeRawBufferPointer) {
        let (shown, isCut) = unsafe PrintableText.prefix(text, characters: maximumTextLength)
        append("\"")
        unsafe append(content: shown, quote: UInt8(ascii: "\""))
        append(isCut ? "…\"" : "\"")
    }

    /// A text in quotes that is never cut: a key, or a sentence of ours.
    mutating func append(key: UnsafeRawBufferPointer) {
        append("\"")
        unsafe append(content: key, quote: UInt8(ascii: "\""))
        append("\"")
    }

    mutating func appendEscape(_ scalar: UInt32, quote: UInt8) {
        switch scalar {
        case 0x22: append("\\\"")
        case 0x5C: append("\\\\")
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        case 0x1_0000...:
            // A surrogate pair, in UTF-16's way.
            append(unit: 0xD7C0 + scalar >> 10)
            append(unit: 0xDC00 | scalar & 0x3FF)
        default: append(unit: scalar)
        }
    }

    private mutating func append(unit: UInt32) {
        append("\\u")
        output.appendHexadecimal(unit, digits: 4)
    }

    // MARK: Pickle

    static func brackets(of kind: PickleKind, count: Int) -> (opening: StaticString, closing: StaticString) {
        switch kind {
        case .tuple: ("{\"$tuple\":[", "]}")
        case .set: ("{\"$set\":[", "]}")
        case .frozenset: ("{\"$frozenset\":[", "]}")
        default: ("[", "]")
        }
    }

    mutating func appendCycle(_ kind: PickleKind) {
        refusal = "JSON can't express a container inside itself"
        append("{\"$cycle\":true}")
    }

    /// Writes the builtin value that an object holds; otherwise Python's repr of it in a tag.
    mutating func append(object node: PickleNode, of document: borrowing PickleDocument) throws(TooLong) {
        refusal = "JSON can't express an object of a class"
        switch document.builtinContent(of: node) {
        case .node(let content): return try append(content, of: document)
        case .items(let items):
            append("[")
            try append(items, of: document)
            return append("]")
        case .pairs(let pairs): return try append(pairs, of: document)
        case .pairList(let items): return try append(pairList: items, of: document)
        case nil: break
        }
        repr.removeAll()
        try repr.append(node, of: document)
        append("{\"$object\":")
        let text = repr.output.copyBytes()
        unsafe text.withUnsafeBytes { unsafe append(key: $0) }
        append("}")
    }
}
