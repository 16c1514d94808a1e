import Logging
import NIOCore

/// Names each refused Origin in the log, once a minute: a page that is refused tries again every few seconds.
///
/// Stays on one event loop, so that an Origin is named once however many loops refuse it.
struct RefusedOriginLog {
    private let allowed: [String]
    private let logger: Logger
    private var named: [String: NIODeadline] = [:]
    private var isFull = false
    private static let interval = TimeAmount.minutes(1)
    /// Origins named per minute. Real pages have a handful; more come from somebody who makes them up, who must fill
    /// neither memory nor the log.
    static let capacity = 64

    init(allowed: [String], logger: Logger) {
        self.allowed = allowed
        self.logger = logger
    }

    /// - Returns: whether the Origin was left unnamed because of the bound.
    mutating func refused(_ origin: String, at now: NIODeadline) -> Bool {
        // As shown: what looks the same in the log counts as the same, and no key is longer than a line.
        let key = OriginAdvice.printable(origin)
        if let last = named[key], now - last < Self.interval { return false }
        if named[key] == nil, named.count >= Self.capacity {
            named = named.filter { now - $0.value < Self.interval }
            guard named.count < Self.capacity else {
                if !isFull {
                    logger.warning(
                        "more than \(Self.capacity) Origins were refused within a minute: others are only counted")
                }
                isFull = true
                return true
            }
            isFull = false
        }
        named[key] = now
        logger.warning("\(OriginAdvice(refused: origin, allowed: allowed)); said once a minute")
        return false
    }
}
