import NIOCore

/// Limits log messages: each text once a minute, and at most 64 texts a minute.
package struct RepeatLimit {
    private var loggedAt: [String: NIODeadline] = [:]
    private static let interval = TimeAmount.minutes(1)
    private static let capacity = 64

    package init() {}

    /// True if this text is to be logged now; it counts as logged then.
    package mutating func isDue(_ text: String, at now: NIODeadline) -> Bool {
        if let last = loggedAt[text], now - last < Self.interval { return false }
        if loggedAt[text] == nil, loggedAt.count >= Self.capacity {
            loggedAt = loggedAt.filter { now - $0.value < Self.interval }
            guard loggedAt.count < Self.capacity else { return false }
        }
        loggedAt[text] = now
        return true
    }
}
