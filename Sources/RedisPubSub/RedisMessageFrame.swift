import Glibc

/// The positions of a published message within the bytes read: `["message", channel, payload]`, or `["pmessage", pattern,
/// channel, payload]`, in the one spelling that servers use (RESP2).
struct RedisMessageFrame {
    enum Search {
        case found(RedisMessageFrame)
        /// The bytes are the beginning of a message, whose length is known once its last header is there.
        case cut(byteCount: Int?)
        /// Another reply, or another spelling, for the parser.
        case other
    }

    let channel: Range<Int>
    let payload: Range<Int>
    /// Where the next reply begins.
    let end: Int

    /// Examines the reply that begins at `start`.
    static func find(in bytes: UnsafeRawBufferPointer, at start: Int) -> Search {
        var cursor = Cursor(bytes: bytes, at: start)
        var isPattern = false
        if !cursor.pass("*3\r\n$7\r\nmessage\r\n") {
            guard cursor.mismatches else { return .cut(byteCount: nil) }
            cursor = Cursor(bytes: bytes, at: start)
            guard cursor.pass("*4\r\n$8\r\npmessage\r\n") else {
                return cursor.mismatches ? .other : .cut(byteCount: nil)
            }
            isPattern = true
        }
        if isPattern {
            guard let pattern = cursor.header(), cursor.passText(of: pattern) else { return cursor.failure }
        }
        guard let channel = cursor.header() else { return cursor.failure }
        let channelStart = cursor.position
        guard cursor.passText(of: channel), let payload = cursor.header() else { return cursor.failure }
        let payloadStart = cursor.position
        let end = payloadStart &+ payload &+ 2
        guard end <= bytes.count else { return .cut(byteCount: end &- start) }
        guard cursor.passText(of: payload) else { return .other }
        return .found(
            RedisMessageFrame(
                channel: channelStart..<channelStart &+ channel, payload: payloadStart..<payloadStart &+ payload,
                end: end))
    }

    /// A position in the bytes. Its methods return nil or false where the bytes end or differ; `mismatches` tells which.
    private struct Cursor {
        let bytes: UnsafeRawBufferPointer
        var position: Int
        private(set) var mismatches = false

        init(bytes: UnsafeRawBufferPointer, at: Int) {
            self.bytes = bytes
            position = at
        }

        var failure: Search { mismatches ? .other : .cut(byteCount: nil) }

        @inline(__always) mutating func pass(_ literal: StaticString) -> Bool {
            guard let base = bytes.baseAddress, position <= bytes.count else { return false }
            let count = min(literal.utf8CodeUnitCount, bytes.count &- position)
            mismatches = memcmp(base + position, literal.utf8Start, count) != 0
            guard !mismatches, count == literal.utf8CodeUnitCount else { return false }
            position &+= count
            return true
        }

        /// The length in `$14\r\n`, of at most nine digits.
        @inline(__always) mutating func header() -> Int? {
            guard pass("$") else { return nil }
            var length = 0
            let first = position
            while position < bytes.count, case let digit = bytes[position] &- UInt8(ascii: "0"), digit < 10,
                position &- first < 9
            {
                length = length &* 10 &+ Int(digit)
                position &+= 1
            }
            if position < bytes.count, position == first || position &- first > 1 && bytes[first] == UInt8(ascii: "0") {
                mismatches = true
            }
            return !mismatches && pass("\r\n") ? length : nil
        }

        /// Passes a text of this length and the end of its line.
        @inline(__always) mutating func passText(of length: Int) -> Bool {
            guard length <= bytes.count &- position else { return false }
            position &+= length
            return pass("\r\n")
        }
    }
}
