import RedisPubSub

/// A time in which published messages may have been missed.
struct SubscriptionGap: Sendable, Equatable {
    /// Everything published before this time was received. Milliseconds since 1970.
    let from: Int64
    /// Everything published after this time is received again; nil while the subscription is lost.
    var to: Int64?
    let cause: Cause
    /// The cause in words, for operators; may name hosts.
    let detail: String

    init(from: Int64, to: Int64? = nil, cause: RedisError) {
        self.from = from
        self.to = to
        self.cause = Cause(cause)
        detail = "\(cause)"
    }

    /// Causes for programs; the names are part of the interface.
    enum Cause: String, Sendable, CaseIterable {
        case unreachable, closed, silent, refused, restarted, killed, evicted, tls
        case outputBufferFull = "output_buffer_full"
        case failedOver = "failed_over"
        case noMaster = "no_master"
        case replyTooLarge = "reply_too_large"
        case other
    }
}

extension SubscriptionGap.Cause {
    init(_ error: RedisError) {
        switch error {
        case .unreachable, .connectTimedOut: self = .unreachable
        case .closedByServer, .broken: self = .closed
        case .silent: self = .silent
        case .refused: self = .refused
        case .replyTooLarge: self = .replyTooLarge
        case .restarted: self = .restarted
        case .killed: self = .killed
        case .evicted: self = .evicted
        case .outputBufferFull: self = .outputBufferFull
        case .failedOver: self = .failedOver
        case .notMaster, .noMaster, .noSentinel: self = .noMaster
        case .tls, .needsTLS, .closedWithoutReply: self = .tls
        case .malformedReply, .commandTimedOut, .queueFull, .notConnected, .shutDown: self = .other
        }
    }
}

/// The gaps of the subscription: the open one and the latest closed ones.
struct SubscriptionGaps {
    private(set) var closed: [SubscriptionGap] = []
    private(set) var open: SubscriptionGap?
    private let capacity: Int
    /// Gaps no longer in the history.
    private(set) var forgotten = 0

    init(capacity: Int) { self.capacity = max(1, capacity) }

    mutating func begin(from: Int64, cause: RedisError) {
        guard open == nil else { return }
        open = SubscriptionGap(from: from, cause: cause)
    }

    /// Sets the cause of the last gap, as the server explains it.
    mutating func explain(_ cause: RedisError) {
        guard let gap = closed.popLast() else { return }
        closed.append(SubscriptionGap(from: gap.from, to: gap.to, cause: cause))
    }

    mutating func end(at now: Int64) {
        guard var gap = open else { return }
        open = nil
        // The clock may have been set back meanwhile.
        gap.to = max(now, gap.from)
        if closed.count >= capacity {
            closed.removeFirst()
            forgotten += 1
        }
        closed.append(gap)
    }
}
