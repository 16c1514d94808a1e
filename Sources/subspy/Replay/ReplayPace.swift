import NIOCore

/// Decides when each message of a recording is due.
final class ReplayPace {
    /// The next thing to do.
    enum Step {
        case due(ReplayEntries.Entry)
        case later(NIODeadline)
        case end
    }

    private let speed: ReplaySpeed
    private let rate: Double?
    private var startTime = NIODeadline.uptimeNanoseconds(0)
    /// The time when the clock was read last: reading it for each message would take longer than the message.
    private var now = NIODeadline.uptimeNanoseconds(0)
    private var count = 0
    private var pending: ReplayEntries.Entry?

    init(speed: ReplaySpeed, rate: Double?) {
        self.speed = speed
        self.rate = rate
    }

    /// The first message is due now.
    func start(at time: NIODeadline) {
        startTime = time
        now = time
    }

    /// Delays all messages that follow.
    func delay(by amount: TimeAmount) {
        startTime = startTime + amount
    }

    /// The next message, if it is due.
    ///
    /// - Parameters:
    ///   - clock: the time, read only where the decision depends on it.
    ///   - source: gives the messages one after the other.
    func next(
        at clock: @autoclosure () -> NIODeadline,
        from source: () throws(RecordingReader.Failure) -> ReplayEntries.Entry?
    ) throws(RecordingReader.Failure) -> Step {
        if pending == nil { pending = try source() }
        guard let entry = pending else { return .end }
        let time = deadline(of: entry)
        if time > now { now = clock() }
        guard time <= now else { return .later(time) }
        pending = nil
        count += 1
        return .due(entry)
    }

    private func deadline(of entry: ReplayEntries.Entry) -> NIODeadline {
        if let rate { return startTime + .nanoseconds(Int64(Double(count) * 1e9 / rate)) }
        switch speed {
        case .maximum: return startTime
        case .factor(let factor): return startTime + .nanoseconds(Int64(Double(entry.microseconds) * 1000 / factor))
        }
    }
}
