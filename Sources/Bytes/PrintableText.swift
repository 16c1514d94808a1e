/// Text from outside, made safe for a log line, a terminal or a label: nothing in it ends the line, moves the cursor,
/// changes colours or reverses the direction.
package enum PrintableText {
    /// Most characters that a name from outside may take in a line.
    @inlinable package static var maximumCharacters: Int { 128 }

    /// A text on one line. Characters that can't be printed are escaped as Python does (`\n`, `\x1b`, `\u2028`, `\ud800`),
    /// and a longer text ends with `…`.
    ///
    /// A backslash is not escaped, so that a second pass doesn't change the text.
    ///
    /// - Parameter maximumCharacters: of the result, escapes and the `…` included.
    package static func line(_ text: Span<UInt8>, maximumCharacters: Int = maximumCharacters) -> String {
        unsafe text.withUnsafeBytes { unsafe line($0, maximumCharacters: maximumCharacters) }
    }

    private static func line(_ text: UnsafeRawBufferPointer, maximumCharacters: Int) -> String {
        // A character has at most 4 bytes, so everything after these is cut in any case.
        let beginning = unsafe text.prefix(4 * maximumCharacters + 4)
        let part = unsafe UnsafeRawBufferPointer(rebasing: beginning)
        var writer = JSONWriter(capacity: part.count + 4)
        var (count, index) = (0, 0)
        // Where to cut if the rest doesn't fit: before the last character.
        var cut = 0
        while index < part.count {
            let (scalar, length) = unsafe scalar(of: part, at: index)
            let isPlain = isPrintable(scalar) && !isInvisible(scalar)
            count += isPlain ? 1 : escapeLength(of: scalar)
            if count > maximumCharacters { break }
            if isPlain {
                unsafe writer.append(raw: UnsafeRawBufferPointer(rebasing: part[index..<index + length]))
            } else {
                appendEscape(of: scalar, to: &writer)
            }
            index += length
            if count < maximumCharacters { cut = writer.count }
        }
        let isWhole = index == part.count && part.count == text.count
        return unsafe writer.withUnsafeBytes { unsafe String(decoding: isWhole ? $0[...] : $0[..<cut], as: UTF8.self) }
            + (isWhole ? "" : "…")
    }

    /// The same of a string.
    package static func line(_ text: String, maximumCharacters: Int = maximumCharacters) -> String {
        var text = text
        return text.withUTF8 { unsafe line(UnsafeRawBufferPointer($0), maximumCharacters: maximumCharacters) }
    }

    /// Invisible letters and marks, with which two different names could look the same.
    private static func isInvisible(_ scalar: UInt32) -> Bool {
        scalar >= 0x80 && Unicode.Scalar(scalar)?.properties.isDefaultIgnorableCodePoint == true
    }

    /// The code point at `index`, surrogates included (WTF-8); a byte that belongs to none is a surrogate from U+DC80 on, as
    /// Python's `surrogateescape` has it.
    @inlinable package static func scalar(
        of text: UnsafeRawBufferPointer, at index: Int
    ) -> (scalar: UInt32, length: Int) {
        unsafe WTF8.scalar(in: text, at: index) ?? (0xDC00 | UInt32(text[index]), 1)
    }

    /// `str.isprintable`: everything but control, format, surrogate, private, unassigned and separators.
    ///
    /// By the Unicode tables of the Swift runtime, which may be newer than those of a given Python.
    @inlinable package static func isPrintable(_ scalar: UInt32) -> Bool {
        if scalar < 0x7F { return scalar >= 0x20 }
        guard let scalar = Unicode.Scalar(scalar) else { return false }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned: return false
        case .lineSeparator, .paragraphSeparator, .spaceSeparator: return scalar == " "
        default: return true
        }
    }

    /// Appends `\n`, `\x1b`, `\u202e`, `\U000e0001`.
    package static func appendEscape(of scalar: UInt32, to writer: inout JSONWriter) {
        writer.append("\\")
        switch scalar {
        case 0x0A: writer.append("n")
        case 0x0D: writer.append("r")
        case 0x09: writer.append("t")
        case ..<0x100:
            writer.append("x")
            writer.appendHexadecimal(scalar, digits: 2)
        case ..<0x1_0000:
            writer.append("u")
            writer.appendHexadecimal(scalar, digits: 4)
        default:
            writer.append("U")
            writer.appendHexadecimal(scalar, digits: 8)
        }
    }

    private static func escapeLength(of scalar: UInt32) -> Int {
        switch scalar {
        case 0x0A, 0x0D, 0x09: 2
        case ..<0x100: 4
        case ..<0x1_0000: 6
        default: 10
        }
    }
}
