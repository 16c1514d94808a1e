import JSONCodec

/// Makes and reads sids: 20 characters of `A-Za-z0-9_-`, as python-engineio's.
///
/// The first two characters name the event loop that owns the session or socket, so that a request or a message for
/// a sid finds it without a table; the other 18 are 108 random bits.
package enum SessionID {
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
    package static let length = 20
    package static let maximumLoops = 4096

    package static func make(loop: Int) -> ByteString {
        var generator = SystemRandomNumberGenerator()
        return alphabet.withUTF8Buffer { digits in
            let bytes = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
                buffer[0] = digits[loop >> 6 & 63]
                buffer[1] = digits[loop & 63]
                var random: UInt64 = 0
                for index in 2..<length {
                    if (index - 2) % 10 == 0 { random = generator.next() }
                    buffer[index] = digits[Int(random & 63)]
                    random >>= 6
                }
                count = length
            }
            return ByteString(bytes: bytes)
        }
    }

    /// The loop that a sid of ours names; nil for what can't be one.
    package static func loop(of sid: ByteString, loopCount: Int) -> Int? {
        guard sid.count == length else { return nil }
        return sid.withUnsafeBytes { bytes in
            var loop = 0
            for index in 0..<length {
                guard let value = value(of: bytes[index]) else { return nil }
                if index < 2 { loop = loop << 6 | value }
            }
            return loop < loopCount ? loop : nil
        }
    }

    private static func value(of byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): Int(byte) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): Int(byte) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte) + 4
        case UInt8(ascii: "_"): 62
        case UInt8(ascii: "-"): 63
        default: nil
        }
    }
}
