import Bytes
import NIOCore

/// The position of an event in the stream of this process: the last argument of each event while connections can be recovered,
/// and what a client sends to say which event it got last.
///
/// A position is the time since the start in microseconds, made strictly increasing: so it grows with time, and tells a client
/// nothing about how many messages there are. Its text always has 8 characters of `A-Za-z0-9_-`, so that it can be replaced in
/// a packet.
struct RecoveryOffset: Hashable, Comparable, Sendable {
    let value: Int64

    /// Before every event.
    static let none = RecoveryOffset(value: 0)
    static let length = 8
    /// `,"` before the text and `"]` behind it.
    static let bytesInEvent = length + 3

    init(value: Int64) { self.value = value }

    /// Nil if it can't be a text of `write`.
    init?(_ text: ByteString) {
        guard text.count == Self.length else { return nil }
        var value: Int64 = 0
        for byte in text.bytes {
            guard let digit = SessionID.value(of: byte) else { return nil }
            value = value << 6 | Int64(digit)
        }
        self.value = value
    }

    /// Writes the text to the first bytes of `target`.
    func write(to target: UnsafeMutableRawBufferPointer) {
        for index in 0..<Self.length {
            unsafe target[index] = SessionID.digit(Int(value >> (6 * Int64(Self.length - 1 - index)) & 63))
        }
    }

    static func < (left: Self, right: Self) -> Bool { left.value < right.value }
}
