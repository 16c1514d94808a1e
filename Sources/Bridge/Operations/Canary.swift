import NIOCore

/// The canaries under way: messages that this process sends to itself through Redis. No I/O.
///
///     sent ──PUBLISH──▶ Redis ──our subscription──▶ decoder: arrived ──▶ every event loop: reached ─▶ round trip
struct Canary {
    struct Sent {
        let id: Int64
        let sentAt: NIODeadline
        /// Event loops that have not looked up a room for it yet.
        var missingLoops: Set<Int>
    }

    /// Oldest first.
    private(set) var underWay: [Sent] = []
    private let loopCount: Int
    private var lastID: Int64

    /// - Parameter firstID: ids count from here. It is random, so that a canary of an earlier process isn't taken for ours.
    init(loopCount: Int, firstID: Int64 = .random(in: 0...Int64.max / 2)) {
        self.loopCount = loopCount
        lastID = firstID
    }

    /// Starts the next canary, and returns its id.
    mutating func send(at now: NIODeadline) -> Int64 {
        lastID += 1
        if underWay.count >= BridgeLimits.pendingCanaries { underWay.removeFirst() }
        underWay.append(Sent(id: lastID, sentAt: now, missingLoops: Set(0..<loopCount)))
        return lastID
    }

    /// A canary came back through the subscription; nil if it isn't awaited. Earlier ones are given up.
    mutating func arrived(_ id: Int64) -> Sent? {
        guard let index = underWay.firstIndex(where: { $0.id == id }) else { return nil }
        underWay.removeFirst(index)
        return underWay[0]
    }

    /// An event loop has looked up a room for it.
    ///
    /// - Returns: the canary, if that loop was the last one.
    mutating func reached(_ id: Int64, loop: Int) -> Sent? {
        guard let index = underWay.firstIndex(where: { $0.id == id }) else { return nil }
        underWay[index].missingLoops.remove(loop)
        guard underWay[index].missingLoops.isEmpty else { return nil }
        return underWay.remove(at: index)
    }

    /// Forgets all canaries: their subscription is gone.
    mutating func removeAll() { underWay = [] }
}
