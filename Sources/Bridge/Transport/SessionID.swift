import Bytes

/// Makes and reads sids: 20 characters of `A-Za-z0-9_-`, as python-engineio's.
///
/// The first two characters name the event loop that owns the session or socket, so that a request or a message for
/// a sid finds it without a table. The next two are the same for all sids of one process, so that a request that a load
/// balancer sent to the wrong process can be recognised. The other 16 are 96 random bits.
package enum SessionID {
    /// The part that all sids of one process share; drawn at its start.
    package struct Instance: Sendable, Equatable {
        let value: Int

        package init() { value = Int.random(in: 0..<4096) }
        package init(value: Int) { self.value = value & 4095 }
    }

    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
    package static let length = 20
    package static let maximumLoops = 4096

    package static func make(loop: Int, instance: Instance) -> ByteString {
        alphabet.withUTF8Buffer { digits in
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
                unsafe buffer[0] = unsafe digits[loop >> 6 & 63]
                unsafe buffer[1] = unsafe digits[loop & 63]
                unsafe buffer[2] = unsafe digits[instance.value >> 6 & 63]
                unsafe buffer[3] = unsafe digits[instance.value & 63]
                var random: UInt64 = 0
                for index in 4..<length {
                    if (index - 4) % 10 == 0 { random = .random(in: .min ... .max) }
                    unsafe buffer[index] = unsafe digits[Int(random & 63)]
                    random >>= 6
                }
                count = length
            }
            return ByteString(bytes: bytes)
        }
    }

    /// The event loop that a sid names; nil if it can't be a sid of ours.
    package static func loop(of sid: ByteString, loopCount: Int) -> Int? {
        guard let parts = parts(of: sid), parts.loop < loopCount else { return nil }
        return parts.loop
    }

    /// True if a sid has the format of ours but was made by another process, or before a restart.
    package static func isForeign(_ sid: ByteString, to instance: Instance) -> Bool {
        parts(of: sid).map { $0.instance != instance } ?? false
    }

    /// True if a name is most likely the sid of a client of any server: 20 of the characters, large and small letters among
    /// them.
    package static func looksLikeOne(_ name: ByteString) -> Bool {
        guard parts(of: name) != nil else { return false }
        return name.bytes.contains { (65...90).contains($0) } && name.bytes.contains { (97...122).contains($0) }
    }

    private static func parts(of sid: ByteString) -> (loop: Int, instance: Instance)? {
        guard sid.count == length else { return nil }
        return unsafe sid.withUnsafeBytes { bytes in
            var head = 0
            for index in 0..<length {
                guard let value = unsafe value(of: bytes[index]) else { return nil }
                if index < 4 { head = head << 6 | value }
            }
            return (head >> 12, Instance(value: head))
        }
    }

    /// The character that stands for 6 bits.
    static func digit(_ value: Int) -> UInt8 {
        alphabet.withUTF8Buffer { unsafe $0[value & 63] }
    }

    static func value(of byte: UInt8) -> Int? {
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
