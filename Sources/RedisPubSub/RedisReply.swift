import NIOCore

/// One complete reply of the server.
enum RedisReply: Equatable, Sendable {
    /// A published message of this many payload bytes; the reader's delegate has already received it.
    case message(byteCount: Int)
    /// The confirmation of one SUBSCRIBE channel.
    case subscribed
    /// The reply to a PING within a subscription, in any spelling.
    case pong
    /// `+OK` and the like.
    case status
    /// `-ERR …`, as one printable line.
    case error(String)
    case integer(Int64)
    case bulk(ByteBuffer)
    case null
    /// The texts of an array, if it is the reply to a command.
    case texts([ByteBuffer])
    /// Any other array.
    case array

    /// The content of `bulk`.
    var bytes: ByteBuffer? { if case .bulk(let bytes) = self { bytes } else { nil } }

    /// The content of `texts`.
    var texts: [ByteBuffer] { if case .texts(let texts) = self { texts } else { [] } }
}
