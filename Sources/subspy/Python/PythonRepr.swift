import JSONCodec

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
struct PythonRepr: ~Copyable {
    var output = JSONWriter(capacity: 4096)
    /// Shared values are written at each place, so that a hundred bytes could ask for a terabyte.
    let maximumBytes: Int

    /// The text would be longer than the limit.
    struct TooLong: Error {}

    init(maximumBytes: Int = 64 << 20) {
        self.maximumBytes = maximumBytes
    }

    /// Forgets what was written; keeps the capacity.
    mutating func removeAll() { output.removeAll() }

    func checkLength() throws(TooLong) {
        if output.count > maximumBytes { throw TooLong() }
    }

    // MARK: Scalars

    mutating func append(_ literal: StaticString) { output.append(literal) }

    mutating func append(bool value: Bool) {
        if value { append("True") } else { append("False") }
    }

    mutating func append(float value: Double) {
        if value.isNaN { return append("nan") }
        if value.isInfinite {
            if value < 0 { append("-inf") } else { append("inf") }
            return
        }
        output.appendFloat(value)
    }

    /// An int beyond 64 bits, as little-endian two's complement.
    mutating func append(bigInteger bytes: UnsafeRawBufferPointer) {
        // 4,300 digits, CPython's limit for printing, take 1,786 bytes. Decimal is quadratic, hexadecimal isn't.
        guard bytes.count > 1_786 else { return output.appendDecimal(twosComplement: bytes) }
        let isNegative = bytes.last.map { $0 >= 0x80 } ?? false
        if isNegative { append("-") }
        append("0x")
        // The lowest byte that isn't zero ends the carry of a negation.
        let firstSet = bytes.firstIndex { $0 != 0 } ?? 0
        for index in bytes.indices.reversed() {
            var byte = bytes[index]
            if isNegative { byte = index > firstSet ? ~byte : 0 &- byte }
            append(hexadecimal: UInt32(byte), digits: 2)
        }
    }

    mutating func append(hexadecimal value: UInt32, digits: Int) {
        for index in (0..<digits).reversed() {
            let digit = UInt8(truncatingIfNeeded: value >> UInt32(index * 4) & 0xF)
            output.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }

    // MARK: Text

    /// A str, given as UTF-8 in which lone surrogates may stand.
    mutating func append(text: UnsafeRawBufferPointer) {
        let quote = Self.quote(for: text)
        output.append(quote)
        var index = 0
        while index < text.count {
            let start = index
            while index < text.count, Self.isPlain(text[index], quote: quote) { index += 1 }
            output.append(raw: UnsafeRawBufferPointer(rebasing: text[start..<index]))
            guard index < text.count else { break }
            let (scalar, length) = Self.scalar(of: text, at: index)
            if scalar < 0x80 || !Self.isPrintable(scalar) {
                appendEscape(scalar, quote: quote)
            } else {
                output.append(raw: UnsafeRawBufferPointer(rebasing: text[index..<index + length]))
            }
            index += length
        }
        output.append(quote)
    }

    /// bytes, or a Python 2 str that isn't ASCII.
    ///
    /// - Parameter escapesApostrophes: also between double quotes, as CPython does in a bytearray.
    mutating func append(bytes: UnsafeRawBufferPointer, escapesApostrophes: Bool = false) {
        let quote = Self.quote(for: bytes)
        let escaped = escapesApostrophes ? UInt8(ascii: "'") : quote
        append("b")
        output.append(quote)
        for byte in bytes {
            if Self.isPlain(byte, quote: escaped) {
                output.append(byte)
            } else {
                appendEscape(UInt32(byte), quote: escaped)
            }
        }
        output.append(quote)
    }

    /// Double quotes only where that spares escapes.
    private static func quote(for text: UnsafeRawBufferPointer) -> UInt8 {
        text.contains(UInt8(ascii: "'")) && !text.contains(UInt8(ascii: "\"")) ? UInt8(ascii: "\"") : UInt8(ascii: "'")
    }

    @inline(__always) private static func isPlain(_ byte: UInt8, quote: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\\") && byte != quote
    }

    private mutating func appendEscape(_ scalar: UInt32, quote: UInt8) {
        output.append(UInt8(ascii: "\\"))
        switch scalar {
        case UInt32(quote), 0x5C: output.append(UInt8(truncatingIfNeeded: scalar))
        case 0x0A: append("n")
        case 0x0D: append("r")
        case 0x09: append("t")
        case ..<0x100:
            append("x")
            append(hexadecimal: scalar, digits: 2)
        case ..<0x1_0000:
            append("u")
            append(hexadecimal: scalar, digits: 4)
        default:
            append("U")
            append(hexadecimal: scalar, digits: 8)
        }
    }

    /// The code point at `index`, surrogates included; a byte that starts none stands for itself.
    private static func scalar(of text: UnsafeRawBufferPointer, at index: Int) -> (scalar: UInt32, length: Int) {
        let first = text[index]
        let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        guard length > 1, first >= 0xC0, index + length <= text.count else { return (UInt32(first), 1) }
        var scalar = UInt32(first) & (0x7F >> UInt32(length))
        for offset in 1..<length { scalar = scalar << 6 | UInt32(text[index + offset] & 0x3F) }
        return (scalar, length)
    }

    /// `str.isprintable`: everything but control, format, surrogate, private, unassigned and separators.
    ///
    /// By the Unicode tables of the Swift runtime, which may be newer than those of a given Python.
    private static func isPrintable(_ scalar: UInt32) -> Bool {
        guard let scalar = Unicode.Scalar(scalar) else { return false }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned: return false
        case .lineSeparator, .paragraphSeparator, .spaceSeparator: return scalar == " "
        default: return true
        }
    }
}
