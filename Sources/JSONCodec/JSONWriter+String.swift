extension JSONWriter {
    /// Appends a text in quotes, escaped as Python's `ensure_ascii` does.
    ///
    /// Everything outside 0x20-0x7E becomes `\uXXXX` in lower case (DEL too), code points above U+FFFF become a
    /// surrogate pair, lone surrogates stay lone; `\" \\ \n \r \t \b \f` are short. A byte that isn't WTF-8 becomes
    /// `\ufffd`.
    package mutating func appendString(wtf8 text: UnsafeRawBufferPointer) {
        reserve(text.count &+ 2)
        append(UInt8(ascii: "\""))
        appendEscaped(wtf8: text)
        append(UInt8(ascii: "\""))
    }

    /// Appends the escaped text without quotes.
    mutating func appendEscaped(wtf8 text: UnsafeRawBufferPointer) {
        var index = 0
        while index < text.count {
            let plain = plainRunLength(text, from: index)
            if plain > 0 {
                append(raw: UnsafeRawBufferPointer(rebasing: text[index..<index &+ plain]))
                index &+= plain
                if index == text.count { break }
            }
            let (scalar, length) = decodeWTF8(text, at: index)
            appendScalar(scalar)
            index &+= length
        }
    }

    /// Appends a literal in quotes, escaped.
    package mutating func appendString(_ literal: StaticString) {
        literal.withUTF8Buffer { appendString(wtf8: UnsafeRawBufferPointer($0)) }
    }

    /// Appends one code point, escaped if it has to be.
    mutating func appendScalar(_ scalar: UInt32) {
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

    private mutating func appendUnicodeEscape(_ unit: UInt32) {
        append("\\u")
        for position: UInt32 in 0..<4 {
            let digit = UInt8(truncatingIfNeeded: (unit >> (12 &- position &* 4)) & 0xF)
            append(digit < 10 ? UInt8(ascii: "0") &+ digit : UInt8(ascii: "a") &+ digit &- 10)
        }
    }
}

/// How many bytes from `start` need no escape. Eight at a time, since nearly all text is plain.
func plainRunLength(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highs: UInt64 = 0x8080_8080_8080_8080
    var index = start
    while index &+ 8 <= text.count {
        let word = text.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5C)
        let delete = word ^ (ones &* 0x7F)
        // A high bit is set where a byte is below 0x20, or zero in one of the differences, or not ASCII. A borrow may
        // flag a byte above a true one too; the byte loop below then finds the exact place.
        let special =
            (word &- (ones &* 0x20)) | (quote &- ones) | (backslash &- ones) | (delete &- ones) | word
        if special & highs != 0 { break }
        index &+= 8
    }
    while index < text.count {
        let byte = text[index]
        if byte < 0x20 || byte > 0x7E || byte == 0x22 || byte == 0x5C { break }
        index &+= 1
    }
    return index &- start
}

/// The code point at `index` and its length in bytes. Surrogates pass; what isn't WTF-8 gives U+FFFD, one byte.
func decodeWTF8(_ text: UnsafeRawBufferPointer, at index: Int) -> (scalar: UInt32, length: Int) {
    let lead = UInt32(text[index])
    if lead < 0x80 { return (lead, 1) }
    let length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2
    guard lead >= 0xC2, lead <= 0xF4, index &+ length <= text.count else { return (0xFFFD, 1) }
    var scalar = lead & (0x7F >> UInt32(length))
    for position in 1..<length {
        let byte = UInt32(text[index &+ position])
        guard byte & 0xC0 == 0x80 else { return (0xFFFD, 1) }
        scalar = scalar << 6 | byte & 0x3F
    }
    let minimum: UInt32 = length == 4 ? 0x1_0000 : length == 3 ? 0x800 : 0x80
    guard scalar >= minimum, scalar <= 0x10_FFFF else { return (0xFFFD, 1) }
    return (scalar, length)
}
