import JSONCodec

/// Text from the channel, fit for a terminal: nothing in it moves the cursor, changes colours or reverses the line.
enum PrintableText {
    /// The code point at `index`, surrogates included (WTF-8); a byte that belongs to none is a surrogate from U+DC80 on, as
    /// Python's `surrogateescape` has it.
    static func scalar(of text: UnsafeRawBufferPointer, at index: Int) -> (scalar: UInt32, length: Int) {
        let first = text[index]
        guard first >= 0x80 else { return (UInt32(first), 1) }
        let stray = (scalar: 0xDC00 | UInt32(first), length: 1)
        let length = first < 0xC2 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 1
        guard length > 1, index + length <= text.count else { return stray }
        var scalar = UInt32(first) & (0x7F >> UInt32(length))
        for offset in 1..<length {
            guard text[index + offset] & 0xC0 == 0x80 else { return stray }
            scalar = scalar << 6 | UInt32(text[index + offset] & 0x3F)
        }
        let smallest: UInt32 = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x1_0000
        return scalar >= smallest && scalar <= 0x10_FFFF ? (scalar, length) : stray
    }

    /// `str.isprintable`: everything but control, format, surrogate, private, unassigned and separators.
    ///
    /// By the Unicode tables of the Swift runtime, which may be newer than those of a given Python.
    static func isPrintable(_ scalar: UInt32) -> Bool {
        if scalar < 0x7F { return scalar >= 0x20 }
        guard let scalar = Unicode.Scalar(scalar) else { return false }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned: return false
        case .lineSeparator, .paragraphSeparator, .spaceSeparator: return scalar == " "
        default: return true
        }
    }

    /// Appends a text in which what can't be printed is escaped as Python does, without quotes: `\x1b`, `\u202e`, `\n`.
    ///
    /// - Parameters:
    ///   - keepsLines: leaves line feeds as they are, for texts of several lines.
    ///   - escapesBackslashes: so that the text can be told from its escapes.
    static func append(
        _ text: UnsafeRawBufferPointer, to writer: inout JSONWriter, keepsLines: Bool = false,
        escapesBackslashes: Bool = true
    ) {
        var index = 0
        while index < text.count {
            let (scalar, length) = scalar(of: text, at: index)
            if keepsLines, scalar == 0x0A {
                writer.append(0x0A)
            } else if scalar == UInt32(UInt8(ascii: "\\")) {
                writer.append("\\")
                if escapesBackslashes { writer.append("\\") }
            } else if isPrintable(scalar) {
                writer.append(raw: UnsafeRawBufferPointer(rebasing: text[index..<index + length]))
            } else {
                appendEscape(of: scalar, to: &writer)
            }
            index += length
        }
    }

    /// A sentence on one line, its escapes as `append` writes them; what is an escape already stays.
    static func line(_ text: String) -> String {
        var writer = JSONWriter(capacity: text.utf8.count)
        writer.append(text: text)
        return writer.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    /// `\n`, `\x1b`, `\u202e`, `\U000e0001`.
    static func appendEscape(of scalar: UInt32, to writer: inout JSONWriter) {
        writer.append("\\")
        switch scalar {
        case 0x0A: writer.append("n")
        case 0x0D: writer.append("r")
        case 0x09: writer.append("t")
        case ..<0x100:
            writer.append("x")
            append(hexadecimal: scalar, digits: 2, to: &writer)
        case ..<0x1_0000:
            writer.append("u")
            append(hexadecimal: scalar, digits: 4, to: &writer)
        default:
            writer.append("U")
            append(hexadecimal: scalar, digits: 8, to: &writer)
        }
    }

    static func append(hexadecimal value: UInt32, digits: Int, to writer: inout JSONWriter) {
        for index in (0..<digits).reversed() {
            let digit = UInt8(truncatingIfNeeded: value >> UInt32(index * 4) & 0xF)
            writer.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }

    // MARK: Width

    /// Columns that a printable character takes on a terminal: 2 for what Unicode calls wide, 0 for combining marks.
    static func columns(of scalar: UInt32) -> Int {
        guard scalar >= 0x300, let character = Unicode.Scalar(scalar) else { return 1 }
        switch scalar {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x4DBF, 0x4E00...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3,
            0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x2_0000...0x3_FFFD:
            return 2
        default: break
        }
        if character.properties.isEmojiPresentation { return 2 }
        switch character.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return 0
        default: return 1
        }
    }

    /// Columns that a printable text takes.
    static func columns(of text: UnsafeRawBufferPointer) -> Int {
        var (columns, index) = (0, 0)
        while index < text.count {
            let (scalar, length) = scalar(of: text, at: index)
            columns += self.columns(of: scalar)
            index += length
        }
        return columns
    }

    /// Appends what of a printable text goes into some columns, its end marked with `…` where it doesn't fit.
    ///
    /// - Returns: the columns taken.
    @discardableResult
    static func append(_ text: UnsafeRawBufferPointer, cutTo width: Int, to writer: inout JSONWriter) -> Int {
        var (columns, index) = (0, 0)
        // Where to cut if the rest doesn't fit: before the last column.
        var (cut, columnsBeforeCut) = (0, 0)
        while index < text.count {
            let (scalar, length) = scalar(of: text, at: index)
            let next = columns + self.columns(of: scalar)
            if next > width {
                writer.append(raw: UnsafeRawBufferPointer(rebasing: text[..<cut]))
                guard width > 0 else { return 0 }
                writer.append("…")
                return columnsBeforeCut + 1
            }
            columns = next
            index += length
            if columns < width { (cut, columnsBeforeCut) = (index, columns) }
        }
        writer.append(raw: text)
        return columns
    }

    /// The first characters of a text, all of them for nil, and whether there are more.
    static func prefix(
        _ text: UnsafeRawBufferPointer, characters: Int?
    ) -> (text: UnsafeRawBufferPointer, isCut: Bool) {
        guard let characters, text.count > characters else { return (text, false) }
        var index = 0
        for _ in 0..<characters where index < text.count { index += scalar(of: text, at: index).length }
        return (UnsafeRawBufferPointer(rebasing: text[..<index]), index < text.count)
    }
}
