import Logging
import NIOCore
import Synchronization

/// Warns of refused clients: of each Origin and each other cause once a minute, since a refused client tries again every few
/// seconds.
///
/// One for all event loops, so that each cause is told once however many of them see it.
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
        /// With the number of refusals since the last line, this one included.
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

    /// - Parameter client: who it was, for the log; asked only when there is a line to write.
    /// - Returns: whether an Origin was left unnamed because of the bound.
    func refused(
        _ refusal: ClientRefusal, by client: () -> Logger.Metadata = { [:] }, at now: NIODeadline = .now()
    ) -> Bool {
        var key = Key(cause: refusal.cause)
        // As shown: what looks the same in the log counts as the same, and no key is longer than a line.
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
