import Logging
import NIOCore
import Synchronization

/// Warns of refused clients, once a minute for each Origin and each other cause. All event loops share one log, so that several
/// of them don't repeat a cause.
final class ClientRefusalLog: Sendable {
    private struct Key: Hashable {
        let cause: ClientRefusal.Cause
        var origin = ""
    }

    private struct Line {
        var saidAt: NIODeadline
        var unsaid = 0
    }

    private struct State {
        var lines: [Key: Line] = [:]
        var isFull = false
    }

    private enum Verdict {
        /// With the number of refusals since the last line, including this one.
        case say(Int)
        case keepQuiet
        case leaveUnnamed(isFirst: Bool)
    }

    private let configuration: BridgeConfiguration
    private let logger: Logger
    private let state = Mutex(State())

    init(_ configuration: BridgeConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// - Parameter client: the client, for the log; called only when a line is written.
    /// - Returns: whether an Origin was left unnamed because of the limit.
    func refused(
        _ refusal: ClientRefusal, by client: () -> Logger.Metadata = { [:] }, at now: NIODeadline = .now()
    ) -> Bool {
        var key = Key(cause: refusal.cause)
        // Printable form: origins that look the same in the log count as one, and no key is longer than a line.
        if refusal.cause == .originRefused { key.origin = OriginAdvice.printable(refusal.detail.description) }
        switch state.withLock({ Self.verdict(on: key, at: now, &$0) }) {
        case .keepQuiet: return false
        case .leaveUnnamed(let isFirst):
            if isFirst {
                logger.warning(
                    "more than \(BridgeLimits.loggedOrigins) Origins were refused within a minute: others are only counted"
                )
            }
            return true
        case .say(let count):
            let (text, advice) = refusal.words(configuration)
            var metadata = client()
            if count > 1 { metadata["count"] = "\(count)" }
            if refusal.cause != .originRefused { metadata["cause"] = "\(refusal.cause.label)" }
            logger.log(
                level: refusal.cause == .endedSession ? .info : .warning, "\(text); \(advice); said once a minute",
                metadata: metadata)
            return false
        }
    }

    private static func verdict(on key: Key, at now: NIODeadline, _ state: inout State) -> Verdict {
        if let line = state.lines[key] {
            guard now - line.saidAt >= BridgeLimits.refusalLogInterval else {
                state.lines[key]?.unsaid += 1
                return .keepQuiet
            }
            state.lines[key] = Line(saidAt: now)
            return .say(line.unsaid + 1)
        }
        if key.cause == .originRefused, state.lines.count >= BridgeLimits.loggedOrigins {
            state.lines = state.lines.filter {
                $0.key.cause != .originRefused || now - $0.value.saidAt < BridgeLimits.refusalLogInterval
            }
            guard state.lines.count(where: { $0.key.cause == .originRefused }) < BridgeLimits.loggedOrigins else {
                defer { state.isFull = true }
                return .leaveUnnamed(isFirst: !state.isFull)
            }
            state.isFull = false
        }
        state.lines[key] = Line(saidAt: now)
        return .say(1)
    }
}
