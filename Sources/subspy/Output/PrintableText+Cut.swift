import Bytes

/// Longer texts of the channel on a terminal, and the columns that they take there.
extension PrintableText {
    /// Appends a text without quotes; characters that can't be printed are escaped as in Python: `\x1b`, `\u202e`, `\n`.
    ///
    /// - Parameters:
    ///   - keepsLines: leaves line feeds as they are, for texts of several lines.
    ///   - escapesBackslashes: keeps backslashes of the text apart from escapes.
    static func append(
        _ text: UnsafeRawBufferPointer, to writer: inout JSONWriter, keepsLines: Bool = false,
        escapesBackslashes: Bool = true
    ) {
        var index = 0
        while index < text.count {
            let (scalar, length) = unsafe scalar(of: text, at: index)
            if keepsLines, scalar == 0x0A {
                writer.append(0x0A)
            } else if scalar == UInt32(UInt8(ascii: "\\")) {
                writer.append("\\")
                if escapesBackslashes { writer.append("\\") }
            } else if isPrintable(scalar) {
                unsafe writer.append(raw: UnsafeRawBufferPointer(rebasing: text[index..<index + length]))
            } else {
                appendEscape(of: scalar, to: &writer)
            }
            index += length
        }
    }

    /// A sentence on one line, whatever its length. An escape has 10 characters at most.
    static func line(_ text: String) -> String { line(text, maximumCharacters: 10 * text.utf8.count + 1) }

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
            let (scalar, length) = unsafe scalar(of: text, at: index)
            columns += self.columns(of: scalar)
            index += length
        }
        return columns
    }

    /// Appends a printable text, cut to a number of columns with `…` at the end where it doesn't fit.
    ///
    /// - Returns: the columns taken.
    @discardableResult
    static func append(_ text: UnsafeRawBufferPointer, cutTo width: Int, to writer: inout JSONWriter) -> Int {
        var (columns, index) = (0, 0)
        // The place to cut if the rest doesn't fit: before the last column.
        var (cut, columnsBeforeCut) = (0, 0)
        while index < text.count {
            let (scalar, length) = unsafe scalar(of: text, at: index)
            let next = columns + self.columns(of: scalar)
            if next > width {
                unsafe writer.append(raw: UnsafeRawBufferPointer(rebasing: text[..<cut]))
                guard width > 0 else { return 0 }
                writer.append("…")
                return columnsBeforeCut + 1
            }
            columns = next
            index += length
            if columns < width { (cut, columnsBeforeCut) = (index, columns) }
        }
        unsafe writer.append(raw: text)
        return columns
    }

    /// Appends the first characters of a printable text, all of them for nil, and `…` where there are more.
    static func append(_ text: UnsafeRawBufferPointer, characters: Int?, to writer: inout JSONWriter) {
        let (shown, isCut) = unsafe prefix(text, characters: characters)
        unsafe writer.append(raw: shown)
        if isCut { writer.append("…") }
    }

    /// The first characters of a text, all of them for nil, and whether there are more.
    static func prefix(_ text: UnsafeRawBufferPointer, characters: Int?) -> (text: UnsafeRawBufferPointer, isCut: Bool)
    {
        guard let characters, text.count > characters else { return unsafe (text, false) }
        var index = 0
        for _ in 0..<characters where index < text.count { unsafe index += scalar(of: text, at: index).length }
        return unsafe (UnsafeRawBufferPointer(rebasing: text[..<index]), index < text.count)
    }
}
