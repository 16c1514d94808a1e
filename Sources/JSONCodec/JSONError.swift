/// Why a text isn't the JSON that Python's `json.loads` accepts, and where.
package struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The closed list of causes.
    package enum Cause: Hashable, Sendable {
        case endOfText
        case unexpectedByte(UInt8, expected: Expectation)
        case trailingData
        case controlCharacter(UInt8)
        case badEscape
        case badUTF8
        /// UTF-16 or UTF-32 with half a unit at its end, or with a code point above U+10FFFF.
        case badUnicode
        case integerTooLong(characters: Int, limit: Int)
        case tooDeep(limit: Int)
        case tooManyNodes(limit: Int)
        case tooLong(limit: Int)
    }

    /// The token that the grammar expects.
    package enum Expectation: String, Hashable, Sendable {
        case value = "a value"
        case key = "a key in double quotes"
        case keyOrEnd = "a key in double quotes or }"
        case colon = ":"
        case commaOrEndOfObject = ", or }"
        case commaOrEndOfArray = ", or ]"
        case digit = "a digit"
    }

    /// The kind of failure.
    package let cause: Cause
    /// Where, in bytes from the start; of the text as UTF-8 when it came as UTF-16 or UTF-32.
    package let byteOffset: Int

    package init(_ cause: Cause, at byteOffset: Int) {
        self.cause = cause
        self.byteOffset = byteOffset
    }

    /// One line: format, offset, cause.
    package var description: String { "JSON: byte \(byteOffset): \(sentence)" }

    private var sentence: String {
        switch cause {
        case .endOfText: "the text ends too early"
        case .unexpectedByte(let byte, let expected): "\(name(of: byte)) where \(expected.rawValue) was expected"
        case .trailingData: "something follows the value"
        case .controlCharacter(let byte): "raw control character \(byte) in a string; it must be escaped"
        case .badEscape: "a backslash that starts no escape"
        case .badUTF8: "bytes that aren't UTF-8"
        case .badUnicode: "bytes that are neither UTF-16 nor UTF-32"
        case .integerTooLong(let characters, let limit): "an integer of \(characters) characters; \(limit) are allowed"
        case .tooDeep(let limit): "nested deeper than \(limit)"
        case .tooManyNodes(let limit): "more than \(limit) values"
        case .tooLong(let limit): "longer than \(limit) bytes"
        }
    }

    private func name(of byte: UInt8) -> String {
        byte > 0x20 && byte < 0x7F ? "\(Character(Unicode.Scalar(byte)))" : "byte \(byte)"
    }
}

/// Limits on one JSON text.
package struct JSONLimits: Sendable {
    /// Open arrays and objects at once. Python stops near its recursion limit of 1000.
    package var maximumDepth: Int
    /// Values and keys together; each takes 16 bytes of scratch.
    package var maximumNodes: Int
    /// Characters of an integer including its sign. The default is the limit of python-engineio's `json.py` since 4.1.
    package var maximumIntegerDigits: Int
    /// Bytes of the text. At most 2^31-1, since offsets are 32 bits wide.
    package var maximumBytes: Int

    package init(
        maximumDepth: Int = 1000, maximumNodes: Int = 1 << 22, maximumIntegerDigits: Int = 100,
        maximumBytes: Int = 1 << 30
    ) {
        self.maximumDepth = maximumDepth
        self.maximumNodes = maximumNodes
        self.maximumIntegerDigits = maximumIntegerDigits
        self.maximumBytes = maximumBytes
    }
}
