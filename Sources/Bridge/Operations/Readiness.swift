import NIOCore
import RedisPubSub
import Synchronization

/// Tells whether messages would reach clients now. The router and the event loops write it, and any thread reads it, so that the
/// state is known even while a loop hangs.
final class Readiness: Sendable {
    /// A reason why the process isn't ready.
    struct Reason: Sendable, Equatable {
        /// As programs read it; the names are part of the interface.
        let code: Code
        let text: String

        enum Code: String, Sendable, CaseIterable {
            case starting
            case subscriptionLost = "subscription_lost"
            case canaryOverdue = "canary_overdue"
            case loopStuck = "loop_stuck"
            case stopping
        }
    }

    /// The router's knowledge, replaced as a whole.
    struct State: Sendable {
        var isSubscribed = false
        var isStopping = false
        var gaps: SubscriptionGaps
        /// Nil while both connections to Redis are up.
        var outage: RedisOutage?
        /// The sending time and the round trip of the last canary that came back and reached every loop.
        var lastCanary: NIODeadline?
        var lastRoundTrip: TimeAmount?
        /// Loops that haven't confirmed the canary that arrived last.
        var missingLoops: [Int] = []
        /// The reason why the last canary could not be published.
        var publishFailure: String?
    }

    /// The time at which one event loop's timer ran last.
    final class Heartbeat: Sendable {
        private let last = Atomic<UInt64>(NIODeadline.now().uptimeNanoseconds)
        func beat() { last.store(NIODeadline.now().uptimeNanoseconds, ordering: .relaxed) }
        var lastBeat: NIODeadline { .uptimeNanoseconds(last.load(ordering: .relaxed)) }
    }

    let heartbeats: [Heartbeat]
    let canaryInterval: Duration?
    let canaryLimit: Duration
    let stuckLimit: Duration
    private let startedAt = NIODeadline.now()
    private let state: Mutex<State>

    init(loopCount: Int, configuration: BridgeConfiguration) {
        state = Mutex(State(gaps: SubscriptionGaps(capacity: configuration.maxGaps)))
        heartbeats = (0..<loopCount).map { _ in Heartbeat() }
        canaryInterval = configuration.canaryInterval
        canaryLimit = configuration.canaryLimit
        stuckLimit = configuration.stuckLoopLimit
    }

    var current: State { state.withLock { $0 } }

    func update(_ change: (inout sending State) -> Void) { state.withLock { change(&$0) } }

    /// Loops with a timer that is overdue by more than `stuckLimit`.
    func stuckLoops(at now: NIODeadline) -> [Int] {
        heartbeats.indices.filter { now - heartbeats[$0].lastBeat > TimeAmount(stuckLimit) }
    }

    /// Seconds since the last canary that reached every loop was sent; nil before the first.
    func canaryAge(_ state: State, at now: NIODeadline) -> Double? {
        state.lastCanary.map { Double((now - $0).nanoseconds) / 1e9 }
    }

    /// Empty if ready.
    func reasons(at now: NIODeadline) -> [Reason] {
        let state = current
        var reasons = stuckLoops(at: now).map {
            Reason(code: .loopStuck, text: "event loop \($0) has not run for more than \(stuckLimit)")
        }
        if state.isStopping { reasons.append(Reason(code: .stopping, text: "the process is stopping")) }
        if let gap = state.gaps.open {
            var text = "messages are missed since \(WallClock.text(gap.from))"
            let cause = state.outage.map { "\($0.cause)" } ?? gap.detail
            if let outage = state.outage {
                let seconds = outage.seconds(at: now)
                text += ", Redis has been away for \(seconds) second\(seconds == 1 ? "" : "s")"
            }
            text += ": \(cause)"
            if cause != gap.detail { text += " (it began otherwise: \(gap.detail))" }
            reasons.append(Reason(code: .subscriptionLost, text: text))
        } else if !state.isSubscribed {
            reasons.append(Reason(code: .starting, text: "the Redis channel is not subscribed yet"))
        } else if canaryInterval != nil {
            reasons += canaryReason(state, at: now)
        }
        return reasons
    }

    private func canaryReason(_ state: State, at now: NIODeadline) -> [Reason] {
        var why = "a message to ourselves through Redis has not come back"
        if let failure = state.publishFailure { why = "a message to ourselves can't be published: \(failure)" }
        if let outage = state.outage { why = "a message to ourselves can't be published: \(outage.cause)" }
        if !state.missingLoops.isEmpty { why = "event loops \(state.missingLoops) don't answer" }
        guard let age = canaryAge(state, at: now) else {
            let isOverdue = now - startedAt > TimeAmount(canaryLimit)
            return [Reason(code: isOverdue ? .canaryOverdue : .starting, text: why)]
        }
        guard age > TimeAmount(canaryLimit).seconds else { return [] }
        return [Reason(code: .canaryOverdue, text: "\(why) for \(Int(age)) seconds")]
    }
}

extension RedisOutage {
    /// How long it has lasted, in whole seconds.
    func seconds(at now: NIODeadline) -> Int { Int((now - since).nanoseconds / 1_000_000_000) }
}

extension TimeAmount {
    /// As a number of seconds.
    var seconds: Double { Double(nanoseconds) / 1e9 }
}
