import Bytes

/// Colours a value's text, Python's repr or JSON, and breaks it into lines where it is too wide.
///
/// It reads the text rather than the value: both spellings have quotes with backslashes, brackets, commas and colons.
struct ValueLayout {
    private enum Kind { case open, close, comma, colon, key, text, word }

    private struct Token {
        let kind: Kind
        let range: Range<Int>
        /// Columns of all tokens before this one.
        let start: Int
        /// The bracket that closes this one; the end where the text was cut.
        var partner = 0
        /// True for a bracket that holds brackets or keys: its items get a line each.
        var isNested = false
    }

    /// A bracket that is open.
    private struct Group {
        let isBroken: Bool
        let isNested: Bool
        let indent: Int
    }

    let palette: Palette
    /// Columns of the terminal; nil for one line however long.
    let width: Int?

    func append(_ text: UnsafeRawBufferPointer, indent: Int = 0, to writer: inout JSONWriter) {
        guard text.count <= Limits.layoutBytes, palette.hasColors || width != nil else {
            return unsafe writer.append(raw: text)
        }
        let tokens = unsafe Self.tokens(of: text)
        var groups: [Group] = []
        var column = indent
        func newLine(_ indent: Int) {
            writer.append("\n")
            // Deep nesting must not push the text out of sight.
            column = min(indent, (width ?? 80) / 2)
            for _ in 0..<column { writer.append(" ") }
        }
        for (index, token) in tokens.enumerated() {
            let next = index + 1 < tokens.count ? tokens[index + 1].start : token.start + token.range.count
            let group = groups.last
            if token.kind == .close, let group {
                groups.removeLast()
                if group.isBroken { newLine(group.indent - 2) }
            }
            if token.kind == .comma, let group, group.isBroken, let width {
                writer.append(",")
                let following = index + 2 < tokens.count ? tokens[index + 2].start - next : 0
                if group.isNested || column + following + 3 > width {
                    newLine(group.indent)
                } else {
                    writer.append(" ")
                    column += 2
                }
                continue
            }
            unsafe append(UnsafeRawBufferPointer(rebasing: text[token.range]), token.kind, to: &writer)
            column += next - token.start
            guard token.kind == .open else { continue }
            let end = token.partner < tokens.count ? tokens[token.partner].start + 1 : Int.max / 2
            let isBroken = width.map { column - 1 + end - token.start + 1 > $0 } ?? false && token.partner > index + 1
            let inner = (groups.last { $0.isBroken }?.indent ?? indent) + 2
            groups.append(Group(isBroken: isBroken, isNested: token.isNested, indent: inner))
            if isBroken { newLine(inner) }
        }
    }

    private func append(_ text: UnsafeRawBufferPointer, _ kind: Kind, to writer: inout JSONWriter) {
        let color: Palette.Color? =
            switch kind {
            case .key: .key
            case .text: .text
            case .word: .word
            case .open, .close, .comma, .colon: nil
            }
        palette.paint(color, &writer) { unsafe $0.append(raw: text) }
    }

    private static func tokens(of text: UnsafeRawBufferPointer) -> [Token] {
        var tokens: [Token] = []
        var open: [Int] = []
        var (index, column) = (0, 0)
        while index < text.count {
            let (kind, end) = unsafe token(of: text, at: index)
            var token = Token(kind: kind, range: index..<end, start: column)
            switch kind {
            case .open:
                if let outer = open.last { tokens[outer].isNested = true }
                open.append(tokens.count)
                token.partner = Int.max
            case .close: if let start = open.popLast() { tokens[start].partner = tokens.count }
            case .colon: if let outer = open.last { tokens[outer].isNested = true }
            default: break
            }
            tokens.append(token)
            unsafe column += PrintableText.columns(of: UnsafeRawBufferPointer(rebasing: text[index..<end]))
            index = end
        }
        return tokens
    }

    private static func token(of text: UnsafeRawBufferPointer, at start: Int) -> (Kind, end: Int) {
        func isSpace(_ index: Int) -> Bool { unsafe index < text.count && text[index] == 0x20 }
        switch unsafe text[start] {
        case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"): return (.open, start + 1)
        case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"): return (.close, start + 1)
        case UInt8(ascii: ","): return (.comma, isSpace(start + 1) ? start + 2 : start + 1)
        case UInt8(ascii: ":"): return (.colon, isSpace(start + 1) ? start + 2 : start + 1)
        case UInt8(ascii: "'"), UInt8(ascii: "\""): return unsafe string(of: text, from: start, quoteAt: start)
        default:
            var end = start + 1
            while end < text.count, unsafe !isSpecial(text[end]) { end += 1 }
            // The b of bytes belongs to them.
            if end == start + 1, unsafe text[start] == UInt8(ascii: "b"), end < text.count, unsafe isQuote(text[end]) {
                return unsafe string(of: text, from: start, quoteAt: end)
            }
            return (.word, end)
        }
    }

    private static func string(of text: UnsafeRawBufferPointer, from start: Int, quoteAt: Int) -> (Kind, end: Int) {
        var end = quoteAt + 1
        while end < text.count, unsafe text[end] != text[quoteAt] {
            unsafe end += text[end] == UInt8(ascii: "\\") ? 2 : 1
        }
        end = min(end + 1, text.count)
        return unsafe (end < text.count && text[end] == UInt8(ascii: ":") ? .key : .text, end)
    }

    private static func isQuote(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ")"), UInt8(ascii: "]"),
            UInt8(ascii: "}"), UInt8(ascii: ","), UInt8(ascii: ":"):
            true
        default: isQuote(byte)
        }
    }
}
