import NIOCore

/// The signs of life that this process sends to itself through Redis, and how far each has come. No I/O.
///
///     sent ──PUBLISH──▶ Redis ──our subscription──▶ decoder: arrived ──▶ every event loop: reached ─▶ round trip
struct Canary {
    struct Sent {
        let id: Int64
        let sentAt: NIODeadline
        /// Event loops that have not looked up a room for it yet.
        var missingLoops: Set<Int>
    }

    /// Oldest first. A slow one is still welcome; of a dead channel's the last few are enough.
    private(set) var underWay: [Sent] = []
    private let loopCount: Int
    private var lastID: Int64

    /// - Parameter firstID: what the ids count from; random, so that an echo of an earlier process is not taken for ours.
    init(loopCount: Int, firstID: Int64 = .random(in: 0...Int64.max / 2)) {
        self.loopCount = loopCount
        lastID = firstID
    }

    /// The id of the next one, which is on its way from now on.
    mutating func send(at now: NIODeadline) -> Int64 {
        lastID += 1
        if underWay.count >= BridgeLimits.pendingCanaries { underWay.removeFirst() }
        underWay.append(Sent(id: lastID, sentAt: now, missingLoops: Set(0..<loopCount)))
        return lastID
    }

    /// One came back through the subscription; nil when it isn't awaited. Those before it are given up.
    mutating func arrived(_ id: Int64) -> Sent? {
        guard let index = underWay.firstIndex(where: { $0.id == id }) else { return nil }
        underWay.removeFirst(index)
        return underWay[0]
    }

    /// An event loop has looked up a room for it.
    ///
    /// - Returns: the canary, when that loop was the last one.
    mutating func reached(_ id: Int64, loop: Int) -> Sent? {
        guard let index = underWay.firstIndex(where: { $0.id == id }) else { return nil }
        underWay[index].missingLoops.remove(loop)
        guard underWay[index].missingLoops.isEmpty else { return nil }
        return underWay.remove(at: index)
    }

    /// Forgets those under way: their subscription is gone.
    mutating func removeAll() { underWay = [] }
}
