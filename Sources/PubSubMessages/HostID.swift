import Bytes

/// The id under which a process of ours publishes: as long as python-socketio's `uuid4().hex`, and easy to tell from it.
///
/// ``BareDataSenders`` needs the prefix: we write lists as 5.15.1 does and all other data bare, which every release reads,
/// so bare data from us says nothing about the meaning of our lists.
package enum HostID {
    /// The beginning of the ids of ws-emit, subspy and ChannelEmitter.
    private static let prefix = "ws-emit-"

    package static func isOfWSEmit(_ hostID: ByteString) -> Bool { hostID.bytes.starts(with: prefix.utf8) }

    /// Longer ids are ignored: ids are kept in tables and named in logs and metrics. Those of python-socketio have 32 bytes.
    static let maximumBytes = 128

    /// The prefix and 24 random hexadecimal digits.
    package static func random() -> ByteString {
        let digits = (0..<24).map { _ in String(Int.random(in: 0..<16), radix: 16) }
        return ByteString(prefix + digits.joined())
    }
}
