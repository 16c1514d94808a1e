import NIOCore

/// Decides when a ready connection sends PING, when its peer is gone, and up to when a subscription has missed nothing.
///
/// The peer is sent a PING after one interval without any bytes, and is gone when nothing follows within the timeout. So a
/// busy connection is never sent such a PING. A subscription sends further PINGs to know how far it has come: the reply to
/// a PING arrives behind all messages published before the PING.
struct RedisLiveness {
    enum Action: Equatable {
        case none
        case sendPing
        case close(RedisError)
    }

    /// True if bytes have arrived since the last check; before the end of the handshake, if any have.
    var hasReceived = false
    /// Of a subscription: all messages published before this time have arrived.
    private(set) var provenUntil: NIODeadline?
    private let pingInterval: TimeAmount
    private let pingTimeout: TimeAmount
    private let provingInterval: TimeAmount?
    private var nextCheck = NIODeadline.distantFuture
    private var nextProving = NIODeadline.distantFuture
    private var isPingUnanswered = false
    private var lastPing = NIODeadline.uptimeNanoseconds(0)
    /// When each PING was sent that a subscription has no reply to, oldest first.
    private var unansweredPings = CircularBuffer<NIODeadline>()

    /// - Parameter provingInterval: nil for a connection for commands.
    init(pingInterval: Duration, pingTimeout: Duration, provingInterval: Duration?) {
        self.pingInterval = TimeAmount(pingInterval)
        self.pingTimeout = TimeAmount(pingTimeout)
        self.provingInterval = provingInterval.map { TimeAmount($0) }
    }

    /// The handshake is about to be sent. A subscription is proven from here on, not from its confirmation: messages
    /// published after the server has subscribed us may arrive later than the confirmation.
    mutating func handshakeBegins(at now: NIODeadline) {
        if provingInterval != nil { provenUntil = now }
    }

    /// The handshake is over.
    mutating func becameReady(at now: NIODeadline) {
        hasReceived = true
        nextCheck = now + pingInterval
        if let provingInterval { nextProving = now + provingInterval }
    }

    // MARK: Deadlines

    /// When to call `deadlineHasPassed`.
    var nextDeadline: NIODeadline { min(nextCheck, nextProving) }

    mutating func deadlineHasPassed(at now: NIODeadline) -> Action {
        var action = Action.none
        if nextCheck <= now { action = check(at: now) }
        if nextProving <= now, let provingInterval {
            nextProving = now + provingInterval
            // A subscription that lags behind its last PING gets no further one.
            if action == .none, unansweredPings.isEmpty { action = sendPing(at: now) }
        }
        return action
    }

    private mutating func check(at now: NIODeadline) -> Action {
        if hasReceived {
            hasReceived = false
            isPingUnanswered = false
            nextCheck = now + pingInterval
            return .none
        }
        if isPingUnanswered {
            nextCheck = lastPing + pingTimeout
            return nextCheck <= now ? .close(.silent) : .none
        }
        nextCheck = now + pingTimeout
        return sendPing(at: now)
    }

    private mutating func sendPing(at now: NIODeadline) -> Action {
        isPingUnanswered = true
        lastPing = now
        if provingInterval != nil { unansweredPings.append(now) }
        return .sendPing
    }

    // MARK: Replies

    /// Takes a reply that a ready subscription receives, other than a message.
    ///
    /// PING is the only command sent there, so any reply while one is unanswered is taken as its reply: servers spell it in
    /// several ways. An error proves life as well, since many servers know no PING within subscriptions; but not one about
    /// the login.
    ///
    /// - Returns: the error that ends the connection, if the reply is one.
    mutating func received(_ reply: RedisReply, _ rights: RedisRights) -> RedisError? {
        switch reply {
        case .message, .subscribed: return nil
        case .pong: break
        case .error(let message):
            let isOfLogin = message.hasAnyPrefix(["NOAUTH", "WRONGPASS"])
            guard !unansweredPings.isEmpty, !isOfLogin else { return rights.refusal(of: .subscribe, message) }
        case .status, .integer, .bulk, .null, .texts, .array:
            guard !unansweredPings.isEmpty else { return .unexpectedReply }
        }
        if let sentAt = unansweredPings.popFirst() { provenUntil = sentAt }
        return nil
    }

    /// True if an error in reply to PING proves that the server lives, on a connection for commands. An ACL such as
    /// `+@pubsub +get` has no PING in it, proxies may not know it, and a server says so when it is loading its data, running a
    /// script or cut off from its master.
    static func provesLife(error message: String) -> Bool {
        message.hasAnyPrefix(["NOPERM", "LOADING", "BUSY", "MASTERDOWN", "ERR unknown command"])
    }
}

extension String {
    fileprivate func hasAnyPrefix(_ prefixes: [String]) -> Bool {
        prefixes.contains { utf8.starts(with: $0.utf8) }
    }
}
