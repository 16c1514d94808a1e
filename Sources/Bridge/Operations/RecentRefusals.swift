import NIOCore
import RedisPubSub

/// The latest refusals of clients of one event loop, so that `ws-emit explain` can tell of them. Equal ones are one entry
/// with a count.
struct RecentRefusals {
    struct Entry: Sendable, Equatable {
        let refusal: ClientRefusal
        var count = 1
        /// When it happened last, in milliseconds since 1970.
        var lastAt: Int64
    }

    /// Oldest first.
    private(set) var all: [Entry] = []

    /// Takes linear time, some hundred comparisons at most, beside which a refused request costs much more.
    mutating func note(_ refusal: ClientRefusal, at now: Int64 = WallClock.milliseconds()) {
        if let index = all.firstIndex(where: { $0.refusal == refusal }) {
            var known = all.remove(at: index)
            known.count += 1
            known.lastAt = now
            return all.append(known)
        }
        let alike = all.indices.filter { all[$0].refusal.cause == refusal.cause }
        if alike.count >= BridgeLimits.recentRefusalsPerCause { all.remove(at: alike[0]) }
        all.append(Entry(refusal: refusal, lastAt: now))
    }
}
