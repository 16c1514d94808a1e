import Logging
import NIOCore

/// Logs when Redis is away and when it is back.
///
/// Both connections lead to one server, so they share an outage. Each cause is logged once a minute at most. An unreachable
/// server is logged only after a second, since a restart takes as long.
struct RedisOutageLog {
    private let logger: Logger
    /// When the present outage began, or the broker started.
    private(set) var since: NIODeadline
    /// Nil while both connections are up, and at the start.
    private var outage: RedisOutage?
    private var loggedCauses = RepeatLimit()

    private static let restartTime = TimeAmount.seconds(1)

    init(logger: Logger, start: NIODeadline) {
        self.logger = logger
        since = start
    }

    /// A connection was lost (`wasReady`), or an attempt to connect has failed.
    mutating func connectionIsDown(_ cause: RedisError, wasReady: Bool, at now: NIODeadline) -> RedisOutage {
        let isFirst = outage == nil
        if wasReady, isFirst { since = now }
        let outage = RedisOutage(since: since, cause: cause)
        self.outage = outage
        let isWorthLogging = isFirst || !cause.isOfServerAway || now - since >= Self.restartTime
        if isWorthLogging, loggedCauses.isDue("\(cause)", at: now) {
            logger.warning(
                "Redis is away, trying again until it is back",
                metadata: ["cause": "\(cause)", "away_seconds": "\(secondsAway(at: now))"])
        }
        return outage
    }

    /// All connections are up.
    ///
    /// - Returns: whether an outage has ended.
    mutating func connectionsAreUp(_ channels: [String], at now: NIODeadline) -> Bool {
        let wasAway = outage != nil
        if wasAway {
            logger.notice("Redis is back", metadata: ["away_seconds": "\(secondsAway(at: now))"])
        } else {
            logger.info("Connected to Redis", metadata: ["channels": "\(channels.joined(separator: " "))"])
        }
        outage = nil
        loggedCauses = RepeatLimit()
        return wasAway
    }

    private func secondsAway(at now: NIODeadline) -> Int64 { (now - since).nanoseconds / 1_000_000_000 }
}

/// The loss of a subscription, from the time it is noticed until its cause is known.
struct RedisUnexplainedLoss {
    /// The cause as the connection saw it.
    let cause: RedisError
    let since: NIODeadline
    /// When the subscription came back.
    var until: NIODeadline?
    let noticed: NIODeadline
    let endpoint: RedisURL.Endpoint?
    let wasWithinReply: Bool

    /// The server to ask for a better cause, if it is the one that the new connections lead to; other causes need none.
    func serverToAsk(connectedTo target: RedisURL.Endpoint?) -> RedisURL.Endpoint? {
        cause == .closedByServer || cause.isBroken ? endpoint.flatMap { $0 == target ? $0 : nil } : nil
    }

    /// Logs the loss with the best cause there is.
    ///
    /// - Parameter better: the cause that the server knows, if it does.
    func explained(
        by better: RedisError?, at now: NIODeadline, _ limit: RedisOutputBufferLimit, _ logger: Logger
    ) -> SubscriptionLoss {
        let loss = SubscriptionLoss(cause: better ?? cause, since: since, until: until ?? now)
        var facts: Logger.Metadata = [
            "cause": "\(loss.cause)", "from": "\(WallClock.text(WallClock.milliseconds(loss.since)))",
            "to": "\(WallClock.text(WallClock.millisecondsRoundedUp(loss.until)))",
        ]
        // The outage log has already reported a server that was away or restarted, but not an ended subscription.
        let isNew = loss.cause == .closedByServer || better != nil && loss.cause != .restarted
        if loss.cause == .closedByServer { facts["possibly"] = "CLIENT KILL, or \(limit)" }
        logger.log(level: isNew ? .warning : .debug, "The subscription was lost", metadata: facts)
        return loss
    }
}
