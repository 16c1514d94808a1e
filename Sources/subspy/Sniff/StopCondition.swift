import ArgumentParser
import NIOCore
import PubSubMessages

/// The options that end a run.
struct StopOptions: ParsableArguments {
    @Option(help: .init("Stop after this many printed messages.", valueName: "n"))
    var count: Int?

    @Option(time: "Stop after this time: 500ms, 10s, 2m, 1h, or seconds.")
    var duration: Duration?

    @Option(time: "Stop when nothing has been printed for this long.")
    var idle: Duration?

    @Option(
        help: ArgumentHelp("Stop after printing a message with this event (glob or /regex/).", valueName: "event"),
        transform: TextPattern.init(argument:))
    var until: TextPattern?

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count must be at least 1") }
    }
}

/// Ends a run when the awaited event or number of messages has come, or a time is over.
///
/// | code | meaning |
/// |---|---|
/// | 0 | `--until`'s event came; without `--until`, `--count` was reached; without both, the time is over |
/// | 1 | the run ended without it |
/// | 130 | interrupted without it |
final class StopCondition {
    private let options: StopOptions
    private let run: RunLoop
    /// Called with the exit code.
    private let stop: (Int32) -> Void
    private var shownCount = 0
    private var hasStarted = false
    private var lastShown: NIODeadline

    init(_ options: StopOptions, run: RunLoop, stop: @escaping (Int32) -> Void) {
        self.options = options
        self.run = run
        self.stop = stop
        lastShown = run.eventLoop.now
        let code: Int32 = isWaiting ? 130 : 0
        run.interrupted = { stop(code) }
    }

    /// True when the run is to end with an event or a number of messages.
    private var isWaiting: Bool { options.until != nil || options.count != nil }

    /// Starts the clocks with the first subscription: the time before doesn't count.
    func subscribed() {
        guard !hasStarted else { return }
        hasStarted = true
        lastShown = run.eventLoop.now
        if let duration = options.duration { run.after(duration) { [self] in stop(isWaiting ? 1 : 0) } }
        if let idle = options.idle { watchIdleness(idle, after: idle) }
    }

    /// Counts a message that was printed, or recorded.
    func shown(_ summary: MessageSummary) {
        shownCount += 1
        if options.idle != nil { lastShown = run.eventLoop.now }
        if let until = options.until, let event = summary.event, until.matches(event) {
            return stop(0)
        }
        if let count = options.count, shownCount >= count { stop(options.until == nil ? 0 : 1) }
    }

    private func watchIdleness(_ idle: Duration, after delay: Duration) {
        run.after(delay) { [self] in
            let quiet = Duration.nanoseconds((run.eventLoop.now - lastShown).nanoseconds)
            if quiet >= idle { stop(isWaiting ? 1 : 0) } else { watchIdleness(idle, after: idle - quiet) }
        }
    }
}
