import Bytes
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
        var loggedAt: NIODeadline
        /// Refusals since then.
        var unlogged = 0
    }

    private struct State {
        var lines: [Key: Line] = [:]
        var isFull = false
    }

    private enum Verdict {
        /// With the number of refusals since the last line, including this one.
        case log(Int)
        case countOnly
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
        case .countOnly: return false
        case .leaveUnnamed(let isFirst):
            if isFirst {
                logger.warning(
                    "more than \(BridgeLimits.loggedOrigins) Origins were refused within a minute: others are only counted"
                )
            }
            return true
        case .log(let count):
            let (text, advice) = refusal.words(configuration)
            var metadata = client()
            if count > 1 { metadata["count"] = "\(count)" }
            if refusal.cause != .originRefused { metadata["cause"] = "\(refusal.cause.label)" }
            logger.log(
                level: refusal.cause == .endedSession ? .info : .warning, "\(text); \(advice); logged once a minute",
                metadata: metadata)
            return false
        }
    }

    private static func verdict(on key: Key, at now: NIODeadline, _ state: inout State) -> Verdict {
        let isRecent = { (line: Line) in now - line.loggedAt < BridgeLimits.refusalLogInterval }
        if let line = state.lines[key], isRecent(line) {
            state.lines[key]?.unlogged += 1
            return .countOnly
        }
        if key.cause == .originRefused, state.lines[key] == nil, state.lines.count >= BridgeLimits.loggedOrigins {
            state.lines = state.lines.filter { $0.key.cause != .originRefused || isRecent($0.value) }
            let wasFull = state.isFull
            state.isFull = state.lines.count { $0.key.cause == .originRefused } >= BridgeLimits.loggedOrigins
            if state.isFull { return .leaveUnnamed(isFirst: !wasFull) }
        }
        let old = state.lines.updateValue(Line(loggedAt: now), forKey: key)
        return .log(1 + (old?.unlogged ?? 0))
    }
}
