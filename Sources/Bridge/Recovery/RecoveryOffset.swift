import Bytes
import NIOCore

/// The position of an event in the stream of this process: the last argument of each event while connections can be recovered,
/// and what a client sends to say which event it got last.
///
/// A position is the time since the start in microseconds, made strictly increasing: so it grows with time, and tells a client
/// nothing about how many messages there are. The process's own bits are above it, since a client that was not recovered may
/// still send the offset of another process. The text always has 10 characters of `A-Za-z0-9_-`, so that it can be replaced
/// in a packet.
struct RecoveryOffset: Hashable, Comparable, Sendable {
    let value: Int64

    /// Before every event.
    static let none = RecoveryOffset(value: 0)
    static let length = 10
    /// `,"` before the text and `"]` behind it.
    static let bytesInEvent = length + 3

    init(value: Int64) { self.value = value }

    /// The position of a time in microseconds since the start.
    init(microseconds: Int64, of instance: SessionID.Instance) { value = Int64(instance.value) << 48 | microseconds }

    func isOf(_ instance: SessionID.Instance) -> Bool { value >> 48 == Int64(instance.value) }

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
