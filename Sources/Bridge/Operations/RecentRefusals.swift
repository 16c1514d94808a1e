import NIOCore
import RedisPubSub

/// The latest refusals of clients on one event loop, for `ws-emit explain`. Equal refusals share an entry with a count.
struct RecentRefusals {
    struct Entry: Sendable, Equatable {
        let refusal: ClientRefusal
        var count = 1
        /// The time of the last one, in milliseconds since 1970.
        var lastAt: Int64
    }

    /// Oldest first.
    private(set) var all: [Entry] = []

    /// Takes linear time: some hundred comparisons at most, which cost much less than the refused request.
    mutating func note(_ refusal: ClientRefusal, at now: Int64 = WallClock.now()) {
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
