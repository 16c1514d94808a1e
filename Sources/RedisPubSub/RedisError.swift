import Glibc
import NIOCore
import NIOPosix

/// Why a connection to Redis failed, or a command on it. The description is one sentence without any credential.
package enum RedisError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No connection could be made; the reason is the operating system's or the resolver's.
    case unreachable(reason: String)
    /// Connecting, or the commands that open a connection, took longer than the connect timeout.
    case connectTimedOut
    /// The server closed the connection.
    case closedByServer
    /// Reading or writing failed.
    case broken(reason: String)
    /// The server sent nothing, not even the reply to a PING, within the ping deadline.
    case silent
    /// The server replied to one of our commands with an error.
    case refused(command: Command, message: String)
    /// A reply larger than the limit, in bytes.
    case replyTooLarge(limit: Int)
    /// The bytes are no RESP, or a reply that fits no command.
    case malformedReply(reason: String)
    /// A command had no reply in time.
    case commandTimedOut
    /// A command was not sent: too many commands wait for replies.
    case queueFull
    /// A command was not sent: there is no connection at present.
    case notConnected
    /// The broker has been shut down.
    case shutDown
    /// TLS could not be established; the reason is a sentence.
    case tls(reason: String)
    /// The server accepts TLS only, and the URL doesn't ask for it.
    case needsTLS
    /// The server closed the connection before it had sent anything, as TLS ports do with clients that don't use TLS.
    case closedWithoutReply
    /// The server is a replica, although it was taken for the master.
    case notMaster(endpoint: String)
    /// The sentinels reply, and none knows a master of this name.
    case noMaster(service: String)
    /// No sentinel can be asked.
    case noSentinel(reason: String)
    /// The sentinels name another master.
    case failedOver(to: String)
    /// Redis dropped the subscription because too much output waited for us.
    case outputBufferFull(RedisOutputBufferLimit)
    /// The server is another process than before.
    case restarted
    /// Somebody ended the subscription with CLIENT KILL.
    case killed
    /// Redis dropped the subscription to stay below `maxmemory-clients`.
    case evicted

    /// The commands that a connection sends.
    package enum Command: String, Sendable {
        case auth = "AUTH"
        case select = "SELECT"
        case subscribe = "SUBSCRIBE"
        case ping = "PING"
        case publish = "PUBLISH"
        case get = "GET"
        case evaluate = "EVAL"
        case channels = "PUBSUB"
        case sentinel = "SENTINEL"
        case info = "INFO"
        case clientList = "CLIENT LIST"
        case configuration = "CONFIG GET"
        case cluster = "CLUSTER NODES"
        case asking = "ASKING"

        /// True if a reply, which is no error, fits the command. Another one means that the server is no Redis.
        func accepts(_ reply: RedisReply) -> Bool {
            switch (self, reply) {
            case (.get, .bulk), (.get, .null), (.channels, .texts), (.evaluate, .texts): true
            case (.get, _), (.channels, _), (.evaluate, _): false
            default: true
            }
        }
    }

    package var description: String {
        switch self {
        case .unreachable(let reason): "Redis can't be reached: \(reason)"
        case .connectTimedOut: "connecting to Redis took too long"
        case .closedByServer: "Redis closed the connection"
        case .broken(let reason): "the connection to Redis broke: \(reason)"
        case .silent: "Redis has gone silent: no reply to PING in time"
        case .refused(.auth, let message):
            "Redis refused AUTH: \(message) (check the user and password of the Redis URL)"
        case .refused(let command, let message): "Redis refused \(command.rawValue): \(message)"
        case .replyTooLarge(let limit): "a reply from Redis exceeds the limit of \(limit) bytes"
        case .malformedReply(let reason): "the server at the Redis address does not speak RESP: \(reason)"
        case .commandTimedOut: "Redis did not reply to a command in time"
        case .queueFull: "too many commands wait for Redis already, the queue is full"
        case .notConnected: "there is no connection to Redis at present"
        case .shutDown: "the connection to Redis has been shut down"
        case .tls(let reason): "TLS with Redis failed: \(reason)"
        case .needsTLS: "the server at the Redis address speaks TLS: write rediss:// instead of redis://"
        case .closedWithoutReply:
            "the server at the Redis address closed the connection without a reply; if that is a TLS port, write rediss:// instead of redis://"
        case .notMaster(let endpoint): "the server \(endpoint) is a replica, not the master"
        case .noMaster(let service):
            "the sentinels know no master named \(service); its name ends the URL, as in redis+sentinel://host/0/mymaster"
        case .noSentinel(let reason): "no sentinel names the master: \(reason)"
        case .failedOver(let endpoint): "the sentinels have made \(endpoint) the master"
        case .outputBufferFull(let limit):
            "Redis dropped the subscription because too much output waited for it: \(limit) was exceeded"
        case .restarted: "Redis was restarted"
        case .killed: "somebody ended the subscription with CLIENT KILL"
        case .evicted: "Redis dropped the subscription to keep its clients below maxmemory-clients"
        }
    }

    /// The server has refused a command: trying again soon will not help, so retries are slow.
    var isRefusal: Bool {
        if case .refused = self { true } else { false }
    }

    /// True if the server is away, as it is while it restarts.
    var isOfServerAway: Bool {
        switch self {
        case .unreachable, .closedByServer, .closedWithoutReply, .broken: true
        default: false
        }
    }

    /// True if AUTH with a user was refused by a Redis before 6, which accepts a password only.
    var isOfServerWithoutUsers: Bool {
        if case .refused(.auth, let message) = self { message.contains("wrong number of arguments") } else { false }
    }

    var isBroken: Bool {
        if case .broken = self { true } else { false }
    }

    /// An error of NIO's connect, in the words of the operating system.
    static func connecting(_ error: any Error) -> RedisError {
        if let failure = error as? NIOConnectionError {
            guard let attempt = failure.connectionErrors.last else {
                return .unreachable(reason: "the host name \(failure.host) can't be resolved")
            }
            return connecting(attempt.error)
        }
        if case ChannelError.connectTimeout = error { return .connectTimedOut }
        return .unreachable(reason: reason(of: error))
    }

    static let unexpectedReply = malformedReply(reason: "a reply that nothing asked for")
    static let mismatchedReply = malformedReply(reason: "a reply that does not fit its command")

    static func reading(_ error: any Error) -> RedisError {
        .broken(reason: reason(of: error))
    }

    private static func reason(of error: any Error) -> String {
        guard let failure = error as? IOError else { return "\(error)" }
        return unsafe strerror(failure.errnoCode).map { unsafe String(cString: $0) } ?? "errno \(failure.errnoCode)"
    }
}
