import NIOCore

/// The commands that wait for their reply, oldest first: Redis replies in the order of the commands.
///
/// A command that has expired keeps its place, since its reply may still arrive. So it counts against the bounds too.
struct RedisPendingCommands {
    /// A command that was sent, and the promise of its reply.
    enum Command {
        case ping
        /// Has one reply for each message.
        case publish(RedisPublishBatch, EventLoopPromise<Void>)
        /// Any other command; the reply is passed on as it is.
        case query(RedisError.Command, EventLoopPromise<RedisReply>)

        /// The number of replies to it.
        var replyCount: Int {
            if case .publish(let batch, _) = self { batch.messageCount } else { 1 }
        }

        /// Fails the promise, if there is one.
        func fail(_ error: RedisError) {
            switch self {
            case .publish(_, let promise): promise.fail(error)
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
            case (.query(let name, let promise), .error(let message)): promise.fail(rights.refusal(of: name, message))
            case (.query(let name, let promise), _) where name.accepts(reply): promise.succeed(reply)
            case (.publish(let batch, let promise), _) where batch.isComplete:
                if let message = batch.refusal {
                    promise.fail(rights.refusal(of: .publish, message))
                } else {
                    promise.succeed()
                }
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
        /// False for a command of our own.
        var isBounded: Bool { deadline != .distantFuture }
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

    /// The known reason why a command of this size would fail, if there is one: a command has expired and no reply has arrived
    /// since, or a bound is reached.
    func obstacle(toSending byteCount: Int) -> RedisError? {
        if expiredCount > 0 { return .commandTimedOut }
        return mayAppend(byteCount: byteCount + Self.entryBytes, replyCount: 1) ? nil : .queueFull
    }

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
        if case .publish(let batch, _)? = entries.first?.command, batch.take(reply), !batch.isComplete { return .none }
        guard let entry = entries.popFirst() else {
            // The server speaks first when it has too many clients.
            if case .error(let message) = reply { return .close(.broken(reason: message)) }
            return .close(.unexpectedReply)
        }
        if entry.isBounded { boundedCount -= entry.command.replyCount }
        byteCount -= entry.byteCount
        let isExpired = expiredCount > 0
        if isExpired { expiredCount -= 1 }
        // The promise of an expired command has failed before.
        return isExpired && entry.isBounded ? .none : .complete(entry.command, reply)
    }

    // MARK: Expiry and end

    /// The offset of the next command that can expire; commands of our own are skipped.
    private var nextOffset: Int? { (expiredCount..<entries.count).first { entries[offset: $0].isBounded } }

    /// When the next command expires.
    var nextDeadline: NIODeadline? { nextOffset.map { entries[offset: $0].deadline } }

    /// The next command whose deadline has passed; it counts as expired from then on.
    mutating func popExpired(now: NIODeadline) -> Command? {
        guard let offset = nextOffset, entries[offset: offset].deadline <= now else { return nil }
        expiredCount = offset + 1
        return entries[offset: offset].command
    }

    /// Removes all commands and returns those that wait for a reply and haven't failed.
    mutating func removeAll() -> [Command] {
        // Commands of our own among the expired ones were only skipped.
        let waiting = entries.enumerated().filter { $0.offset >= expiredCount || !$0.element.isBounded }
            .map(\.element.command)
        self = Self(maximumCount: maximumCount, maximumBytes: maximumBytes)
        return waiting
    }
}
