import NIOCore

/// The commands that wait for their reply, oldest first: RESP answers in order.
///
/// A command that has expired keeps its place, since its reply may still come; the bounds therefore hold for it too.
struct RedisPendingCommands {
    /// What was sent, and who waits for the answer.
    enum Command {
        case auth
        case select
        case ping
        case setName
        case clientID
        case role
        case publish(EventLoopPromise<Int>)
        /// Has one answer for each message.
        case publishes(RedisPublishBatch, EventLoopPromise<Void>)
        case get(EventLoopPromise<ByteBuffer?>)
        case channels(EventLoopPromise<[ByteBuffer]>)
        /// Whatever else is asked, with the reply as it comes.
        case query(RedisError.Command, EventLoopPromise<RedisReply>)

        /// The replies that it has.
        var replyCount: Int {
            if case .publishes(let batch, _) = self { batch.messageCount } else { 1 }
        }

        /// Tells the one who waits, if any.
        func fail(_ error: RedisError) {
            switch self {
            case .publish(let promise): promise.fail(error)
            case .publishes(_, let promise): promise.fail(error)
            case .get(let promise): promise.fail(error)
            case .channels(let promise): promise.fail(error)
            case .query(_, let promise): promise.fail(error)
            case .auth, .select, .ping, .setName, .clientID, .role: break
            }
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
    /// So many entries at the front have expired already.
    private var expiredCount = 0
    /// Those that came through `append`, and their bytes.
    private var boundedCount = 0
    private var byteCount = 0

    init(maximumCount: Int, maximumBytes: Int) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    /// A command of our own (AUTH, SELECT, PING): not bounded, and it does not expire, since other timers watch it.
    mutating func appendInternal(_ command: Command) {
        entries.append(Entry(command: command, byteCount: 0, deadline: .distantFuture))
    }

    /// Whether no reply is owed.
    var isEmpty: Bool { entries.isEmpty }

    /// What an entry and its promise take.
    private static let entryBytes = 128

    private func mayAppend(byteCount: Int, replyCount: Int) -> Bool {
        boundedCount == 0 || replyCount <= maximumCount - boundedCount && byteCount <= maximumBytes - self.byteCount
    }

    /// Whether a command of this size would be taken now.
    func mayAppend(byteCount: Int) -> Bool { mayAppend(byteCount: byteCount + Self.entryBytes, replyCount: 1) }

    /// Whether a command has not been answered in time, and neither has any since.
    var isOverdue: Bool { expiredCount > 0 }

    /// - Returns: false when one of the bounds is reached; the command is not taken then.
    mutating func append(_ command: Command, byteCount: Int, deadline: NIODeadline) -> Bool {
        let count = boundedCount + command.replyCount
        let byteCount = byteCount + Self.entryBytes
        guard mayAppend(byteCount: byteCount, replyCount: command.replyCount) else { return false }
        entries.append(Entry(command: command, byteCount: byteCount, deadline: deadline))
        boundedCount = count
        self.byteCount += byteCount
        return true
    }

    /// Takes out the command that the next reply belongs to; `isExpired` when nobody waits for it any more.
    mutating func popFirst() -> (command: Command, isExpired: Bool)? {
        guard let entry = entries.popFirst() else { return nil }
        let isBounded = entry.deadline != .distantFuture
        if isBounded { boundedCount -= entry.command.replyCount }
        byteCount -= entry.byteCount
        let isExpired = expiredCount > 0
        if isExpired { expiredCount -= 1 }
        return (entry.command, isExpired && isBounded)
    }

    /// The batch that the next reply belongs to, if it is one.
    var firstBatch: RedisPublishBatch? {
        if case .publishes(let batch, _)? = entries.first?.command { batch } else { nil }
    }

    /// When the next command expires.
    var nextDeadline: NIODeadline? {
        entries.dropFirst(expiredCount).first { $0.deadline != .distantFuture }?.deadline
    }

    /// The next command whose deadline has passed; marks it as expired.
    mutating func popExpired(now: NIODeadline) -> Command? {
        while expiredCount < entries.count {
            let entry = entries[offset: expiredCount]
            if entry.deadline == .distantFuture {
                // Ours: passed over, unless nothing behind it has expired.
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

    /// Takes out everything that somebody still waits for.
    mutating func removeAll() -> [Command] {
        // Of those that have expired only our own were not told: they were passed over.
        let waiting = entries.enumerated().filter { $0.offset >= expiredCount || $0.element.deadline == .distantFuture }
            .map(\.element.command)
        entries.removeAll()
        expiredCount = 0
        boundedCount = 0
        byteCount = 0
        return waiting
    }
}
