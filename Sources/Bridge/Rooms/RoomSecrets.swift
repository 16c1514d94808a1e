import JSONCodec
import NIOCore
import RedisPubSub

/// What Redis holds under the keys that may open a room-space.
struct RoomSecrets: Sendable {
    /// Not empty, and no longer than the limit.
    var values: [ByteBuffer] = []
    var problems: [Problem] = []
    /// Why a key could not be read.
    var failure: RedisError?

    /// Why a key opens nothing, or not what its author thinks.
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

    /// The secrets, or why nobody can say which they are.
    func usable() throws(RedisError) -> [ByteBuffer] {
        if values.isEmpty, let failure { throw failure }
        return values
    }

    /// Takes what was read of one key: one byte more than the limit, where the value is longer.
    mutating func take(_ result: Result<ByteBuffer?, any Error>, of key: [UInt8], limit: Int) {
        let name = ByteString(bytes: key[...]).description
        func note(_ code: Problem.Code, _ text: String) { problems.append(Problem(code: code, key: name, text: text)) }
        switch result {
        case .success(let value):
            guard let value, value.readableBytes > 0 else { return }
            guard value.readableBytes <= limit else {
                return note(
                    .tooLong, "the key \(name) holds more than the \(limit) bytes of --max-secret: no secret is so long"
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

extension Router {
    /// Reads the secrets of a room-space; what is wrong with them is logged once a minute.
    func roomSecrets(of space: ByteString) -> EventLoopFuture<RoomSecrets> {
        let keys = JoinRequest.secretKeys(of: space)
        let limit = configuration.maxSecretBytes
        let values = keys.map { broker.get($0, upTo: limit + 1) }
        return EventLoopFuture.whenAllComplete(values, on: eventLoop).assumeIsolated().map { results in
            var secrets = RoomSecrets()
            for (key, result) in zip(keys, results) { secrets.take(result, of: key, limit: limit) }
            for problem in secrets.problems where problem.code != .lineFeed {
                if problem.code != .unreadable { self.counters.secretsUnusable += 1 }
                self.say(problem)
            }
            return secrets
        }.nonisolated()
    }

    /// A client's secret was refused where the right one ends with a line feed.
    func secretDiffersByLineFeed(in space: ByteString) {
        roomSecrets(of: space).assumeIsolated().whenSuccess { secrets in
            for problem in secrets.problems where problem.code == .lineFeed { self.say(problem) }
        }
    }

    private func say(_ problem: RoomSecrets.Problem) {
        // Clients choose the names of keys that don't exist; of those that can't be read one is enough.
        let subject = problem.code == .unreadable ? problem.code.rawValue : problem.text
        guard secretsLog.isDue(subject, at: eventLoop.now) else { return }
        let start = problem.code == .lineFeed ? "a join was refused: " : ""
        logger.warning("\(start)\(problem.text)", metadata: ["key": "\(problem.key)"])
    }
}
