import NIOCore

/// Lets the same thing be said once a minute, and no more than some dozen things.
package struct RepeatLimit {
    private var saidAt: [String: NIODeadline] = [:]
    private static let interval = TimeAmount.minutes(1)
    private static let capacity = 64

    package init() {}

    /// Whether it is to be said now; counts as said then.
    package mutating func isDue(_ text: String, at now: NIODeadline) -> Bool {
        if let last = saidAt[text], now - last < Self.interval { return false }
        if saidAt[text] == nil, saidAt.count >= Self.capacity {
            saidAt = saidAt.filter { now - $0.value < Self.interval }
            guard saidAt.count < Self.capacity else { return false }
        }
        saidAt[text] = now
        return true
    }
}
