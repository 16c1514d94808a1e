import Bytes

/// The id under which a process of ours publishes: as long as python-socketio's `uuid4().hex`, and easy to tell from it.
///
/// The beginning matters to the readers of our own: we write a list as from 5.15.1 on and all other data bare, which every
/// release reads, so that bare data from us says nothing about how our lists are to be read (``SenderDialects``).
package enum HostID {
    /// How the ids of ws-emit, subspy and ChannelEmitter begin.
    private static let prefix = "ws-emit-"

    package static func isOfWSEmit(_ hostID: ByteString) -> Bool { hostID.bytes.starts(with: prefix.utf8) }

    /// A longer one counts as none: ids are kept in tables and named in logs and metrics. Those of python-socketio have 32 bytes.
    static let maximumBytes = 128

    /// The prefix and 24 random hexadecimal digits.
    package static func random() -> ByteString {
        let digits = (0..<24).map { _ in String(Int.random(in: 0..<16), radix: 16) }
        return ByteString(prefix + digits.joined())
    }
}
