/// Base64 as Python's `base64.b64decode` reads it: standard alphabet, other characters passed over, reading ends where
/// the padding is complete.
package enum PythonBase64 {
    /// The bytes; nil if the padding is wrong or a character isn't ASCII.
    package static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3 + 3)
        var quad: UInt32 = 0
        var position = 0
        var padding = 0
        var index = 0
        while index < text.count {
            let character = text[index]
            index &+= 1
            if character == UInt8(ascii: "=") {
                padding &+= 1
                // The last quad is full: what follows isn't read, but must be ASCII.
                if position >= 2, position &+ padding >= 4 {
                    return text[index...].allSatisfy { $0 < 0x80 } ? bytes : nil
                }
                continue
            }
            guard let value = value(of: character) else {
                if character >= 0x80 { return nil }
                continue
            }
            padding = 0
            quad = quad << 6 | value
            position &+= 1
            // Each character but a quad's first completes a byte.
            switch position {
            case 2: bytes.append(UInt8(truncatingIfNeeded: quad >> 4))
            case 3: bytes.append(UInt8(truncatingIfNeeded: quad >> 2))
            case 4:
                bytes.append(UInt8(truncatingIfNeeded: quad))
                position = 0
            default: break
            }
        }
        return position == 0 ? bytes : nil
    }

    private static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character &- UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character &- UInt8(ascii: "a")) &+ 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character &- UInt8(ascii: "0")) &+ 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
