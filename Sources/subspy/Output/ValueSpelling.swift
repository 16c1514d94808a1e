import Bytes
import JSONCodec
import PickleCodec

/// A way to spell values: Python's repr or JSON. The values are walked here once for both.
protocol ValueSpelling: ~Copyable {
    static var words: SpellingWords { get }

    var output: JSONWriter { get set }
    /// The values to be hidden.
    var redaction: Redaction { get }
    /// The containers around the value in hand, noted only in a pickle where one may contain itself.
    var open: Set<PickleNode> { get set }
    /// The list of a JSON message in which base64 stands for the placeholders after the first item; nil in a pickle.
    var data: PickleNode? { get set }
    /// The attachments in it whose placeholders stand in hidden values.
    var hiddenAttachments: Set<Int> { get set }

    /// - Throws: when the text has become too long.
    func checkLength() throws(TooLong)
    /// An int beyond 64 bits, as little-endian two's complement.
    mutating func append(bigInteger bytes: UnsafeRawBufferPointer)
    /// A str, given as UTF-8 in which lone surrogates may stand.
    mutating func append(text: UnsafeRawBufferPointer)
    /// The same as a key of a dict.
    mutating func append(key: UnsafeRawBufferPointer)
    /// A quotation mark, a backslash, or a character that can't be printed.
    mutating func appendEscape(_ scalar: UInt32, quote: UInt8)
    /// bytes, a bytearray, or a str of Python 2 that isn't ASCII.
    mutating func append(bytes: UnsafeRawBufferPointer, _ kind: PickleKind)
    /// The text before and after the items of a list, tuple, set or frozenset.
    static func brackets(of kind: PickleKind, count: Int) -> (opening: StaticString, closing: StaticString)
    /// A container inside itself.
    mutating func appendCycle(_ kind: PickleKind)
    /// A class or function by its name, an object, or a persistent id.
    mutating func append(object node: PickleNode, of document: borrowing PickleDocument) throws(TooLong)
}

/// The fixed texts of a spelling.
struct SpellingWords {
    let comma, colon, none, `true`, `false`, nan, infinity, negativeInfinity: StaticString
    /// The text in the place of a hidden value.
    let hidden: StaticString
    /// True when an object with a single key that begins with `$` has another meaning, so that a dict must not look so.
    let hasTags: Bool
}

/// A text would be longer than the limit: shared values are written at each place, so that a hundred bytes could ask for a
/// terabyte.
struct TooLong: Error {}

/// The end of the run of bytes that need no escape, whatever the spelling.
private func unescapedEnd(of text: UnsafeRawBufferPointer, from start: Int, quote: UInt8) -> Int {
    var end = start
    while end < text.count, unsafe isUnescaped(text[end], quote: quote) { end += 1 }
    return end
}

/// True for printable ASCII besides quotation mark and backslash.
@inline(__always) func isUnescaped(_ byte: UInt8, quote: UInt8) -> Bool {
    byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\\") && byte != quote
}

extension ValueSpelling where Self: ~Copyable {
    mutating func append(_ literal: StaticString) { output.append(literal) }

    mutating func append(float value: Double) {
        if value.isFinite { return output.appendFloat(value) }
        append(value.isNaN ? Self.words.nan : value < 0 ? Self.words.negativeInfinity : Self.words.infinity)
    }

    /// Appends a text without its quotes: what can be printed stands as it is, all else as escapes.
    mutating func append(content text: UnsafeRawBufferPointer, quote: UInt8) {
        var index = 0
        while index < text.count {
            let start = index
            index = unsafe unescapedEnd(of: text, from: start, quote: quote)
            unsafe output.append(raw: UnsafeRawBufferPointer(rebasing: text[start..<index]))
            guard index < text.count else { return }
            let (scalar, length) = unsafe PrintableText.scalar(of: text, at: index)
            if scalar >= 0x80, PrintableText.isPrintable(scalar) {
                unsafe output.append(raw: UnsafeRawBufferPointer(rebasing: text[index..<index + length]))
            } else {
                appendEscape(scalar, quote: quote)
            }
            index += length
        }
    }

    /// Writes a value.
    mutating func append(_ node: PickleNode, of document: borrowing PickleDocument) throws(TooLong) {
        try checkLength()
        let kind = document.kind(of: node)
        switch kind {
        case .none: append(Self.words.none)
        case .bool: append(document.bool(node) == true ? Self.words.true : Self.words.false)
        case .int:
            if let bytes = unsafe document.bigInteger(node) {
                unsafe append(bigInteger: bytes)
            } else {
                output.appendInteger(document.int64(node) ?? 0)
            }
        case .float: append(float: document.double(node) ?? 0)
        case .str, .byteString, .bytes, .bytearray:
            guard let content = unsafe document.bytes(of: node) else { return }
            // Python 3 reads a str of Python 2 as text where it is ASCII.
            if document.isText(node) { unsafe append(text: content) } else { unsafe append(bytes: content, kind) }
        case .global, .persistentID: try append(object: node, of: document)
        case .list, .tuple, .set, .frozenset, .dict, .object:
            if document.hasSharing, !open.insert(node).inserted { return appendCycle(kind) }
            try appendContainer(node, kind, of: document)
            if document.hasSharing { open.remove(node) }
        }
    }

    private mutating func appendContainer(
        _ node: PickleNode, _ kind: PickleKind, of document: borrowing PickleDocument
    ) throws(TooLong) {
        switch kind {
        case .dict: try append(document.pairs(of: node), of: document)
        case .object: try append(object: node, of: document)
        default:
            let (opening, closing) = Self.brackets(of: kind, count: document.count(of: node))
            append(opening)
            try append(document.elements(of: node), isData: node == data, of: document)
            append(closing)
        }
    }

    /// Writes items without brackets around them.
    mutating func append(
        _ elements: PickleDocument.Cursor, isData: Bool = false, of document: borrowing PickleDocument
    ) throws(TooLong) {
        var elements = elements
        var index = 0
        while let element = elements.next(in: document) {
            if index > 0 { append(Self.words.comma) }
            if isData, hiddenAttachments.contains(index - 1) {
                append(Self.words.hidden)
            } else {
                try append(element, of: document)
            }
            index += 1
        }
    }

    mutating func append(_ pairs: PickleDocument.PairCursor, of document: borrowing PickleDocument) throws(TooLong) {
        let isTagged = Self.words.hasTags && needsTag(pairs, of: document)
        var pairs = pairs
        var isFirst = true
        append(isTagged ? "{\"$dict\":[" : "{")
        while let pair = pairs.next(in: document) {
            appendSeparator(&isFirst)
            try append(pair.key, pair.value, isList: isTagged, of: document)
        }
        append(isTagged ? "]}" : "}")
    }

    /// Returns true unless all keys are texts, and a single one doesn't look like a tag.
    private func needsTag(_ pairs: PickleDocument.PairCursor, of document: borrowing PickleDocument) -> Bool {
        var pairs = pairs
        var count = 0
        var hasTag = false
        while let (key, _) = pairs.next(in: document) {
            guard document.isText(key) else { return true }
            count += 1
            hasTag = unsafe document.bytes(of: key)?.first == UInt8(ascii: "$")
        }
        return count == 1 && hasTag
    }

    /// Writes the pairs of an OrderedDict as Python 2 pickles it: a list of lists. Python's repr shows the items themselves
    /// unless a value has to be hidden.
    mutating func append(pairList items: PickleDocument.Cursor, of document: borrowing PickleDocument) throws(TooLong) {
        var items = items
        var isFirst = true
        append(Self.words.hasTags ? "{\"$dict\":[" : "[")
        while let item = items.next(in: document) {
            appendSeparator(&isFirst)
            var parts = document.elements(of: item)
            if parts.remaining == 2, let key = parts.next(in: document), let value = parts.next(in: document),
                Self.words.hasTags || redaction.hides(key, of: document)
            {
                try append(key, value, isList: true, of: document)
            } else {
                try append(item, of: document)
            }
        }
        append(Self.words.hasTags ? "]}" : "]")
    }

    /// - Parameter isList: writes `[key, value]`, otherwise `key: value`.
    private mutating func append(
        _ key: PickleNode, _ value: PickleNode, isList: Bool, of document: borrowing PickleDocument
    ) throws(TooLong) {
        if isList { append("[") }
        if document.isText(key), let text = unsafe document.bytes(of: key) {
            unsafe append(key: text)
        } else {
            try append(key, of: document)
        }
        append(isList ? Self.words.comma : Self.words.colon)
        if redaction.hides(key, of: document) {
            append(Self.words.hidden)
            if data != nil { collectPlaceholders(in: value, of: document) }
        } else {
            try append(value, of: document)
        }
        if isList { append("]") }
    }

    /// Notes the attachments of the placeholders in a hidden value.
    private mutating func collectPlaceholders(in value: PickleNode, of document: borrowing PickleDocument) {
        if document.value(forKey: "_placeholder", in: value) != nil,
            let number = document.value(forKey: "num", in: value).flatMap({ document.int64($0) })
        {
            hiddenAttachments.insert(Int(number))
        }
        var elements = document.elements(of: value)
        while let element = elements.next(in: document) { collectPlaceholders(in: element, of: document) }
        var pairs = document.pairs(of: value)
        while let pair = pairs.next(in: document) { collectPlaceholders(in: pair.value, of: document) }
    }

    private mutating func appendSeparator(_ isFirst: inout Bool) {
        if !isFirst { append(Self.words.comma) }
        isFirst = false
    }
}
