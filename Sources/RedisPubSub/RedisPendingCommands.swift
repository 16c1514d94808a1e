import NIOCore

/// The commands that wait for their reply, oldest first: Redis replies in the order of the commands.
///
/// A command that has expired keeps its place, since its reply may still arrive. So it counts against the bounds too.
struct RedisPendingCommands {
    /// A command that was sent, and the promise of its reply.
    enum Command {
        case ping
        case publish(EventLoopPromise<Int>)
        /// Has one reply for each message.
        case publishes(RedisPublishBatch, EventLoopPromise<Void>)
        case get(EventLoopPromise<ByteBuffer?>)
        case channels(EventLoopPromise<[ByteBuffer]>)
        /// Any other command; the reply is passed on as it is.
        case query(RedisError.Command, EventLoopPromise<RedisReply>)

        /// The number of replies to it.
        var replyCount: Int {
            if case .publishes(let batch, _) = self { batch.messageCount } else { 1 }
        }

        /// Fails the promise, if there is one.
        func fail(_ error: RedisError) {
            switch self {
            case .publish(let promise): promise.fail(error)
            case .publishes(_, let promise): promise.fail(error)
            case .get(let promise): promise.fail(error)
            case .channels(let promise): promise.fail(error)
            case .query(_, let promise): promise.fail(error)
            case .ping: break
            }
        }

        /// Fulfils the promise with the reply.
        ///
        /// - Returns: the error that ends the connection, if the reply doesn't fit the command.
        func complete(with reply: RedisReply, _ rights: RedisRights) -> RedisError? {
            switch (self, reply) {
            case (.ping, .status), (.ping, .bulk), (.ping, .texts): break
            case (.ping, .error(let message)):
                guard RedisLiveness.provesLife(error: message) else { return rights.refusal(of: .ping, message) }
            case (.query(let name, let promise), .error(let message)):
                promise.fail(RedisError.refused(command: name, message: message))
            case (.query(_, let promise), _): promise.succeed(reply)
            case (.publishes(let batch, let promise), _) where batch.isComplete:
                if let message = batch.refusal {
                    promise.fail(rights.refusal(of: .publish, message))
                } else {
                    promise.succeed()
                }
            case (.publish(let promise), .integer(let count)): promise.succeed(Int(count))
            case (.publish(let promise), .error(let message)): promise.fail(rights.refusal(of: .publish, message))
            case (.get(let promise), .bulk(let value)): promise.succeed(value)
            case (.get(let promise), .null): promise.succeed(nil)
            case (.get(let promise), .error(let message)): promise.fail(rights.refusal(of: .get, message))
            case (.channels(let promise), .texts(let names)): promise.succeed(names)
            case (.channels(let promise), .error(let message)):
                promise.fail(RedisError.refused(command: .channels, message: message))
            default:
                fail(.mismatchedReply)
                return .mismatchedReply
            }
            return nil
        }
    }

    private struct Entry {
        let command: Command
        let byteCount: Int
        let deadline: NIODeadline
    }

    private let maximumCount: Int
    private let maximumBytes: Int
    private var entries = CircularBuffer<Entry>()
    /// The number of entries at the front that have expired.
    private var expiredCount = 0
    /// Replies owed to commands added by `append`, and the bytes of these commands.
    private var boundedCount = 0
    private var byteCount = 0

    init(maximumCount: Int, maximumBytes: Int) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    /// Adds a command of our own, such as PING: it doesn't count against the bounds and never expires, since other timers
    /// watch it.
    mutating func appendInternal(_ command: Command) {
        entries.append(Entry(command: command, byteCount: 0, deadline: .distantFuture))
    }

    /// The memory that an entry and its promise take.
    private static let entryBytes = 128

    private func mayAppend(byteCount: Int, replyCount: Int) -> Bool {
        boundedCount == 0 || replyCount <= maximumCount - boundedCount && byteCount <= maximumBytes - self.byteCount
    }

    /// Whether `append` would accept a command of this size now.
    func mayAppend(byteCount: Int) -> Bool { mayAppend(byteCount: byteCount + Self.entryBytes, replyCount: 1) }

    /// Whether a command has expired and no reply has arrived since.
    var isOverdue: Bool { expiredCount > 0 }

    /// Adds a command.
    ///
    /// - Returns: false when a bound is reached; the command isn't added then.
    mutating func append(_ command: Command, byteCount: Int, deadline: NIODeadline) -> Bool {
        let count = boundedCount + command.replyCount
        let byteCount = byteCount + Self.entryBytes
        guard mayAppend(byteCount: byteCount, replyCount: command.replyCount) else { return false }
        entries.append(Entry(command: command, byteCount: byteCount, deadline: deadline))
        boundedCount = count
        self.byteCount += byteCount
        return true
    }

    // MARK: Replies

    /// Takes the next reply.
    mutating func received(_ reply: RedisReply) -> RedisConnectionState.Action {
        if let batch = firstBatch, batch.take(reply) {
            return batch.isComplete ? popAnswered(reply) : .none
        }
        if !entries.isEmpty { return popAnswered(reply) }
        // The server speaks first when it has too many clients.
        if case .error(let message) = reply { return .close(.broken(reason: message)) }
        return .close(.unexpectedReply)
    }

    /// Takes the plain integers that bytes from the server begin with, as far as they are replies to the batch at the front.
    /// They are many and all alike, so the parser never sees them.
    ///
    /// - Returns: the number of bytes taken, and the action; nil when these bytes hold no further reply to a batch.
    mutating func takeRepliesToBatch(
        _ bytes: UnsafeRawBufferPointer
    ) -> (taken: Int, action: RedisConnectionState.Action)? {
        guard let batch = firstBatch else { return nil }
        let taken = batch.takeReplies(from: bytes)
        if batch.isComplete { return (taken, popAnswered(.status)) }
        return taken > 0 ? (taken, .none) : nil
    }

    /// The batch that the next reply belongs to, if it is one.
    private var firstBatch: RedisPublishBatch? {
        if case .publishes(let batch, _)? = entries.first?.command { batch } else { nil }
    }

    private mutating func popAnswered(_ reply: RedisReply) -> RedisConnectionState.Action {
        guard let (command, isExpired) = popFirst(), !isExpired else { return .none }
        return .complete(command, reply)
    }

    /// Removes the command that the next reply belongs to; `isExpired` when its promise has already failed.
    private mutating func popFirst() -> (command: Command, isExpired: Bool)? {
        guard let entry = entries.popFirst() else { return nil }
        let isBounded = entry.deadline != .distantFuture
        if isBounded { boundedCount -= entry.command.replyCount }
        byteCount -= entry.byteCount
        let isExpired = expiredCount > 0
        if isExpired { expiredCount -= 1 }
        return (entry.command, isExpired && isBounded)
    }

    // MARK: Expiry and end

    /// When the next command expires.
    var nextDeadline: NIODeadline? {
        entries.dropFirst(expiredCount).first { $0.deadline != .distantFuture }?.deadline
    }

    /// The next command whose deadline has passed; it counts as expired from then on.
    mutating func popExpired(now: NIODeadline) -> Command? {
        while expiredCount < entries.count {
            let entry = entries[offset: expiredCount]
            if entry.deadline == .distantFuture {
                // A command of our own is skipped, unless nothing behind it has expired.
                guard let next = nextDeadline, next <= now else { return nil }
                expiredCount += 1
                continue
            }
            guard entry.deadline <= now else { return nil }
            expiredCount += 1
            return entry.command
        }
        return nil
    }

    /// Removes all commands and returns those whose promise hasn't been fulfilled.
    mutating func removeAll() -> [Command] {
        // Commands of our own among the expired ones were only skipped.
        let waiting = entries.enumerated().filter { $0.offset >= expiredCount || $0.element.deadline == .distantFuture }
            .map(\.element.command)
        entries.removeAll()
        expiredCount = 0
        boundedCount = 0
        byteCount = 0
        return waiting
    }
}
