/// The standard base64 alphabet (RFC 4648, section 4) with padding, as Engine.IO polling uses it.
package enum Base64 {
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    package static func encode(_ bytes: UnsafeRawBufferPointer, append: (UInt8) -> Void) {
        alphabet.withUTF8Buffer { digits in
            var index = 0
            while index < bytes.count {
                let first = bytes[index]
                let second = index + 1 < bytes.count ? bytes[index + 1] : 0
                let third = index + 2 < bytes.count ? bytes[index + 2] : 0
                append(digits[Int(first >> 2)])
                append(digits[Int((first & 3) << 4 | second >> 4)])
                append(index + 1 < bytes.count ? digits[Int((second & 15) << 2 | third >> 6)] : UInt8(ascii: "="))
                append(index + 2 < bytes.count ? digits[Int(third & 63)] : UInt8(ascii: "="))
                index += 3
            }
        }
    }

    /// Nil when the text is not base64. Padding may be missing, as browsers' decoders allow.
    package static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.count / 4 * 3 + 3)
        var accumulator: UInt32 = 0
        var digits = 0
        var rest = text
        while rest.last == UInt8(ascii: "=") && text.count - rest.count < 2 { rest = rest.dropLast() }
        for byte in rest {
            guard let value = value(of: byte) else { return nil }
            accumulator = accumulator << 6 | value
            digits += 1
            if digits % 4 == 0 {
                result.append(UInt8(truncatingIfNeeded: accumulator >> 16))
                result.append(UInt8(truncatingIfNeeded: accumulator >> 8))
                result.append(UInt8(truncatingIfNeeded: accumulator))
                accumulator = 0
            }
        }
        switch digits % 4 {
        case 0: guard rest.count == text.count else { return nil }  // padding where none is due
        case 2: result.append(UInt8(truncatingIfNeeded: accumulator >> 4))
        case 3:
            result.append(UInt8(truncatingIfNeeded: accumulator >> 10))
            result.append(UInt8(truncatingIfNeeded: accumulator >> 2))
        default: return nil
        }
        return result
    }

    private static func value(of byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte) + 4
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
