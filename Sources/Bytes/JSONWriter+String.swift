extension JSONWriter {
    /// Appends a text in quotes, escaped as Python's `ensure_ascii` does.
    ///
    /// Everything outside 0x20-0x7E becomes `\uXXXX` in lower case (DEL too), code points above U+FFFF become a
    /// surrogate pair, lone surrogates stay lone; `\" \\ \n \r \t \b \f` are short. A byte that isn't WTF-8 becomes
    /// `\ufffd`.
    public mutating func appendString(wtf8 text: UnsafeRawBufferPointer) {
        if unsafe appendUnescapedString(text) { return }
        append(UInt8(ascii: "\""))
        unsafe appendEscaped(wtf8: text)
        append(UInt8(ascii: "\""))
    }

    /// Appends a text in quotes if nothing in it needs an escape.
    ///
    /// - Returns: false, with nothing appended, if something does.
    public mutating func appendUnescapedString(_ text: UnsafeRawBufferPointer) -> Bool {
        guard unsafe unescapedRunLength(text, from: 0) == text.count else { return false }
        reserve(text.count &+ 2)
        append(UInt8(ascii: "\""))
        unsafe append(raw: text)
        append(UInt8(ascii: "\""))
        return true
    }

    /// Appends the escaped text without quotes.
    package mutating func appendEscaped(wtf8 text: UnsafeRawBufferPointer) {
        var index = 0
        while index < text.count {
            let plain = unsafe unescapedRunLength(text, from: index)
            if plain > 0 {
                unsafe append(raw: UnsafeRawBufferPointer(rebasing: text[index..<index &+ plain]))
                index &+= plain
                if index == text.count { break }
            }
            // Characters that need an escape come in runs too: nearly all of a text in Greek or Chinese.
            repeat {
                let (scalar, length) = unsafe WTF8.decode(text, at: index)
                appendScalar(scalar)
                index &+= length
            } while unsafe index < text.count && text[index] >= 0x80
        }
    }

    /// Appends a literal in quotes, escaped.
    public mutating func appendString(_ literal: StaticString) {
        literal.withUTF8Buffer { unsafe appendString(wtf8: UnsafeRawBufferPointer($0)) }
    }

    /// Appends one code point, escaped if it has to be.
    package mutating func appendScalar(_ scalar: UInt32) {
        switch scalar {
        case 0x22: append("\\\"")
        case 0x5C: append("\\\\")
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        case 0x08: append("\\b")
        case 0x0C: append("\\f")
        case 0x1_0000...:
            let offset = scalar &- 0x1_0000
            appendUnicodeEscape(0xD800 | (offset >> 10))
            appendUnicodeEscape(0xDC00 | (offset & 0x3FF))
        case 0x20...0x7E: append(UInt8(truncatingIfNeeded: scalar))
        default: appendUnicodeEscape(scalar)
        }
    }

    /// Appends `\uXXXX` as one word of 8 bytes; the next append overwrites the last two.
    @inline(__always) private mutating func appendUnicodeEscape(_ unit: UInt32) {
        reserve(8)
        // A nibble in each byte, the highest first; letters come 0x27 after the digits.
        let nibbles = unit >> 12 & 0xF | unit & 0xF00 | unit << 12 & 0xF_0000 | unit << 24 & 0xF00_0000
        let letters = (nibbles &+ 0x0606_0606) >> 4 & 0x0101_0101
        let digits = nibbles &+ 0x3030_3030 &+ letters &* 0x27
        let word = UInt64(digits) << 16 | 0x755C
        unsafe end.storeBytes(of: word.littleEndian, as: UInt64.self)
        buffer.used &+= 6
    }
}

/// How many bytes from `start` need no escape. Eight at a time, since nearly all text is plain.
@inlinable @inline(__always)
public func unescapedRunLength(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
    guard let base = text.baseAddress else { return 0 }
    var index = start
    while text.count &- index >= 8 {
        let special = unsafe specialBytes(of: base.loadUnaligned(fromByteOffset: index, as: UInt64.self))
        if special != 0 { return index &+ special.trailingZeroBitCount / 8 &- start }
        index &+= 8
    }
    let left = text.count &- index
    if left >= 4, text.count >= 8 {
        // The rest as one word with bytes that have been looked at, or stand before the start.
        let word = unsafe base.loadUnaligned(fromByteOffset: text.count &- 8, as: UInt64.self)
        let special = specialBytes(of: word) >> UInt64(truncatingIfNeeded: (8 &- left) &* 8)
        return index &+ (special == 0 ? left : special.trailingZeroBitCount / 8) &- start
    }
    while index < text.count {
        let byte = unsafe base.load(fromByteOffset: index, as: UInt8.self)
        if byte < 0x20 || byte > 0x7E || byte == 0x22 || byte == 0x5C { break }
        index &+= 1
    }
    return index &- start
}

/// The high bit of each byte of a word in memory order that needs an escape. Bytes after the first one may be marked
/// wrongly, since a borrow goes up.
@inlinable @inline(__always)
func specialBytes(of word: UInt64) -> UInt64 {
    let word = UInt64(littleEndian: word)
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quote = word ^ (ones &* 0x22)
    let backslash = word ^ (ones &* 0x5C)
    let delete = word ^ (ones &* 0x7F)
    // A byte below 0x20, or zero in one of the differences, or not ASCII.
    let special =
        (word &- (ones &* 0x20)) & ~word | (quote &- ones) & ~quote | (backslash &- ones) & ~backslash
        | (delete &- ones) & ~delete | word
    return special & (ones &* 0x80)
}
