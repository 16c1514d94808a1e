import Logging
import NIOCore
import PubSubMessages
import RedisPubSub

/// Keeps track of subscription gaps, and tells readiness, metrics and the log. Pages hear of a gap once its cause is known, or
/// before the next event if that comes earlier.
final class GapMonitor {
    /// Sends the pending announcement; set by the router.
    var announce: () -> Void = {}
    /// Pages have not been told of the last gap yet.
    private(set) var announcementIsPending = false
    /// The last gap waits for its explanation.
    private var isUnexplained = false
    private var timer: Scheduled<Void>?
    private let eventLoop: any EventLoop
    private let readiness: Readiness
    private let metrics: BridgeMetrics
    private let logger: Logger

    init(eventLoop: any EventLoop, readiness: Readiness, metrics: BridgeMetrics, logger: Logger) {
        self.eventLoop = eventLoop
        self.readiness = readiness
        self.metrics = metrics
        self.logger = logger
    }

    private var gaps: SubscriptionGaps { readiness.current.gaps }
    var forgotten: Int { gaps.forgotten }

    /// The subscription is up and the gap, if there was one, is over. Its cause may become clear now that Redis can be asked.
    func subscriptionIsUp() {
        let isOver = gaps.open != nil
        readiness.update { state in
            state.isSubscribed = true
            state.missingLoops = []
            state.gaps.end(at: WallClock.millisecondsRoundedUp())
        }
        if isOver {
            isUnexplained = true
            announcementIsPending = true
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            timer = eventLoop.scheduleTask(in: BridgeLimits.gapExplanationTimeout) { bound.value.explained(nil) }
        }
    }

    /// - Parameter since: everything published before has been received.
    func subscriptionWasLost(_ cause: RedisError, since: NIODeadline) {
        explained(nil)
        readiness.update { state in
            state.isSubscribed = false
            state.missingLoops = []
            state.gaps.begin(from: WallClock.milliseconds(since), cause: cause)
        }
        guard let gap = gaps.open else { return }
        logger.warning(
            "the subscription is lost, messages are missed until it is back",
            metadata: [
                "from": "\(WallClock.text(gap.from))", "cause": "\(gap.cause.rawValue)", "detail": "\(gap.detail)",
            ])
    }

    /// The cause of the last gap is as clear as it will be.
    ///
    /// - Parameter cause: Redis's own account of it, if Redis could be asked.
    func explained(_ cause: RedisError?) {
        timer?.cancel()
        guard isUnexplained else { return }
        isUnexplained = false
        if let cause { readiness.update { $0.gaps.explain(cause) } }
        guard let gap = gaps.closed.last, let to = gap.to else { return }
        metrics.gapEnded(gap.cause, after: .milliseconds(to - gap.from))
        logger.notice(
            "the subscription is back, messages of this interval may have been missed",
            metadata: [
                "from": "\(WallClock.text(gap.from))", "to": "\(WallClock.text(to))", "cause": "\(gap.cause.rawValue)",
                "detail": "\(gap.detail)",
            ])
        if announcementIsPending { announce() }
    }

    /// The event that tells pages of the last gap; nil when they have been told.
    func takeAnnouncement() -> GapAnnouncement? {
        guard announcementIsPending else { return nil }
        announcementIsPending = false
        guard let gap = gaps.closed.last, let to = gap.to else { return nil }
        let members = #""from":\#(gap.from),"to":\#(to),"cause":"\#(gap.cause.rawValue)""#
        return GapAnnouncement(
            event: EventBody(json: Array(#"["ws-emit:gap",{\#(members)}]"#.utf8)),
            eventWithKept: EventBody(json: Array(#"["ws-emit:gap",{\#(members),"kept":true}]"#.utf8)))
    }

    func shutdown() { timer?.cancel() }
}
