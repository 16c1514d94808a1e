import Synchronization

/// The connections of all event loops of a listener, and how many there may be.
final class OpenConnections: Sendable {
    let limit: Int
    let unfinished: UnfinishedTotal
    private let count = Atomic(0)
    private let hasFreedMuch = Atomic(false)

    init(limit: Int, unfinishedLimit: Int = 64 << 20) {
        self.limit = limit
        unfinished = UnfinishedTotal(limit: unfinishedLimit)
    }

    /// Two loops that ask at the same moment may both be told that there is room: there can be as many too many as there are loops.
    var isFull: Bool { count.load(ordering: .relaxed) >= limit }

    func opened() { count.wrappingAdd(1, ordering: .relaxed) }

    func closed() { count.wrappingSubtract(1, ordering: .relaxed) }

    /// Much memory was freed, in small blocks perhaps.
    func mayTrimMemory() { hasFreedMuch.store(true, ordering: .relaxed) }

    /// Whether `mayTrimMemory` was called since the last time.
    func takeTrim() -> Bool { hasFreedMuch.exchange(false, ordering: .relaxed) }
}
