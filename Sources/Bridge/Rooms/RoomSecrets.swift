import Bytes
import Logging
import NIOCore
import RedisPubSub

/// The values of the Redis keys that may open a room-space.
struct RoomSecrets: Sendable {
    /// Values that are neither empty nor longer than the limit.
    var values: [ByteBuffer] = []
    var problems: [Problem] = []
    /// The error of a key that could not be read.
    var failure: RedisError?

    /// A reason why a key opens no room-space, or needs another secret than its author expects.
    struct Problem: Sendable, Equatable {
        let code: Code
        let key: String
        let text: String

        /// As programs read it; the names are part of the interface.
        enum Code: String, Sendable {
            case lineFeed = "secret_ends_with_line_feed"
            case wrongType = "secret_wrong_type"
            case tooLong = "secret_too_long"
            case unreadable = "secret_unreadable"
        }
    }

    /// The secrets; throws if they can't be known.
    func usable() throws(RedisError) -> [ByteBuffer] {
        if values.isEmpty, let failure { throw failure }
        return values
    }

    /// True if a secret is one of the values, in the same time for each secret of its length.
    static func opens(_ values: [ByteBuffer], with secret: ByteString) -> Bool {
        var isOpen = false
        for value in values where value.readableBytes > 0 {
            // No early exit: the time must not tell which key matched.
            if ConstantTime.areEqual(value.readableBytesView, secret.bytes) { isOpen = true }
        }
        return isOpen
    }

    /// Takes the value of one key. A value longer than the limit was read up to one byte beyond it.
    mutating func take(_ result: Result<ByteBuffer?, any Error>, of key: [UInt8], limit: Int) {
        let name = ByteString(bytes: key[...]).description
        func note(_ code: Problem.Code, _ text: String) { problems.append(Problem(code: code, key: name, text: text)) }
        switch result {
        case .success(let value):
            guard let value, value.readableBytes > 0 else { return }
            guard value.readableBytes <= limit else {
                return note(
                    .tooLong, "the key \(name) holds more than the \(limit) bytes of --max-secret: secrets are shorter"
                )
            }
            if value.readableBytesView.last == UInt8(ascii: "\n") {
                note(
                    .lineFeed,
                    "the secret in the key \(name) ends with a line feed, which clients would have to send too: set it without"
                        + " (redis-cli SET, or printf instead of echo)")
            }
            values.append(value)
        case .failure(RedisError.refused(_, let message)) where message.hasPrefix("WRONGTYPE"):
            note(
                .wrongType,
                "the key \(name) holds no text, as SET writes it, but a list, a hash or the like: DEL and SET it")
        case .failure(let error):
            let error = error as? RedisError ?? .notConnected
            failure = error
            note(.unreadable, "the key \(name) can't be read: \(error)")
        }
    }
}

/// Reads the secrets of room-spaces from Redis, and warns of those that can't open anything.
final class RoomSecretReader {
    private let broker: any PubSubBroker
    private let limit: Int
    private let logger: Logger
    private var warnings = RepeatLimit()
    /// Values that are no secrets.
    private(set) var unusableCount = 0

    init(broker: any PubSubBroker, limit: Int, logger: Logger) {
        self.broker = broker
        self.limit = limit
        self.logger = logger
    }

    /// Reads the secrets of a room-space; each problem is logged once a minute.
    func secrets(of space: ByteString) -> EventLoopFuture<RoomSecrets> {
        let keys = RoomSecretKey.keys(of: space)
        let values = keys.map { broker.get($0, upTo: limit + 1) }
        return EventLoopFuture.whenAllComplete(values, on: broker.eventLoop).assumeIsolated().map { results in
            var secrets = RoomSecrets()
            for (key, result) in zip(keys, results) { secrets.take(result, of: key, limit: self.limit) }
            for problem in secrets.problems where problem.code != .lineFeed {
                if problem.code != .unreadable { self.unusableCount += 1 }
                self.warn(of: problem)
            }
            return secrets
        }.nonisolated()
    }

    /// A client's secret was refused, and the right one ends with a line feed.
    func secretDiffersByLineFeed(in space: ByteString) {
        secrets(of: space).assumeIsolated().whenSuccess { secrets in
            for problem in secrets.problems where problem.code == .lineFeed { self.warn(of: problem) }
        }
    }

    private func warn(of problem: RoomSecrets.Problem) {
        // Clients choose the names of keys that don't exist; of those that can't be read one is enough.
        let subject = problem.code == .unreadable ? problem.code.rawValue : problem.text
        guard warnings.isDue(subject, at: broker.eventLoop.now) else { return }
        let start = problem.code == .lineFeed ? "a join was refused: " : ""
        logger.warning("\(start)\(problem.text)", metadata: ["key": "\(problem.key)"])
    }
}
