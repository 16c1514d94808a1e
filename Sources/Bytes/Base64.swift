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

    package static func isDigit(_ byte: UInt8) -> Bool { value(of: byte) != nil }

    /// Reads base64 as Python's `base64.b64decode` does: bytes outside the alphabet are skipped, such as the line feeds
    /// that the Java and Android client writes, and reading ends where the padding is complete. Padding may also be missing,
    /// as browsers' decoders allow. Nil if a lone digit remains or a byte isn't ASCII.
    package static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.count / 4 * 3 + 3)
        var quad: UInt32 = 0
        var (digits, padding) = (0, 0)
        for byte in text {
            guard let value = value(of: byte) else {
                guard byte < 0x80 else { return nil }
                if byte == UInt8(ascii: "=") {
                    padding += 1
                    if digits >= 2, digits + padding >= 4 { return result }
                }
                continue
            }
            padding = 0
            quad = quad << 6 | value
            digits += 1
            // Each digit but a quad's first completes a byte.
            switch digits {
            case 2: result.append(UInt8(truncatingIfNeeded: quad >> 4))
            case 3: result.append(UInt8(truncatingIfNeeded: quad >> 2))
            case 4:
                result.append(UInt8(truncatingIfNeeded: quad))
                digits = 0
            default: break
            }
        }
        return digits == 1 ? nil : result
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
