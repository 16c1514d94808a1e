import NIOCore

/// One complete reply of the server, as far as this module tells replies apart.
enum RedisReply: Equatable, Sendable {
    /// A published message of this many payload bytes, which the reader's delegate has already been handed.
    case message(byteCount: Int)
    /// The confirmation of one SUBSCRIBE channel.
    case subscribed
    /// The answer to a PING inside a subscription, in whatever spelling.
    case pong
    /// `+OK` and the like.
    case status
    /// `-ERR …`, repaired to one printable line.
    case error(String)
    case integer(Int64)
    case bulk(ByteBuffer)
    case null
    /// The texts of an array of texts, on a connection for commands.
    case texts([ByteBuffer])
    /// Any other array.
    case array
}
