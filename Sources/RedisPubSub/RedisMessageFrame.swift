import Glibc

/// The positions of a published message within the bytes read: `["message", channel, payload]`, or `["pmessage", pattern,
/// channel, payload]`, in the one spelling that servers use (RESP2).
struct RedisMessageFrame {
    let channel: Range<Int>
    let payload: Range<Int>
    /// Where the next reply begins.
    let end: Int

    /// The message that begins at `start`; nil if it is cut, or if there is another reply or another spelling.
    init?(in bytes: UnsafeRawBufferPointer, at start: Int) {
        var cursor = unsafe Cursor(bytes: bytes, position: start)
        if !cursor.pass("*3\r\n$7\r\nmessage\r\n") {
            guard cursor.pass("*4\r\n$8\r\npmessage\r\n"), cursor.argument() != nil else { return nil }
        }
        guard let channel = cursor.argument(), let payload = cursor.argument() else { return nil }
        self.channel = channel
        self.payload = payload
        end = cursor.position
    }

    /// A position in the bytes, which stays where it is when the bytes there end or differ.
    @safe private struct Cursor {
        let bytes: UnsafeRawBufferPointer
        var position: Int

        @inline(__always) mutating func pass(_ literal: StaticString) -> Bool {
            let count = literal.utf8CodeUnitCount
            guard let base = unsafe bytes.baseAddress, unsafe count <= bytes.count &- position,
                unsafe memcmp(base + position, literal.utf8Start, count) == 0
            else { return false }
            position &+= count
            return true
        }

        /// Passes `$14\r\n`, so many bytes and `\r\n`; a length has nine digits at most.
        @inline(__always) mutating func argument() -> Range<Int>? {
            guard pass("$") else { return nil }
            var length = 0
            let first = position
            while unsafe position < bytes.count, case let digit = unsafe bytes[position] &- UInt8(ascii: "0"),
                digit < 10,
                position &- first < 9
            {
                length = length &* 10 &+ Int(digit)
                position &+= 1
            }
            // hiredis judges a length without digits or with a leading zero.
            guard position > first, unsafe position &- first == 1 || bytes[first] != UInt8(ascii: "0"), pass("\r\n"),
                unsafe length <= bytes.count &- position
            else { return nil }
            let range = position..<position &+ length
            position &+= length
            return pass("\r\n") ? range : nil
        }
    }
}
