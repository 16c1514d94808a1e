import Synchronization

/// The number of connections on all event loops of a listener, and its limit.
final class OpenConnections: Sendable {
    let limit: Int
    let unfinished: UnfinishedTotal
    private let count = Atomic(0)
    private let hasFreedMuch = Atomic(false)

    init(limit: Int, unfinishedLimit: Int = 64 << 20) {
        self.limit = limit
        unfinished = UnfinishedTotal(limit: unfinishedLimit)
    }

    /// Loops that ask at the same moment may all see room, so the limit can be exceeded by the number of loops.
    var isFull: Bool { count.load(ordering: .relaxed) >= limit }

    func opened() { count.wrappingAdd(1, ordering: .relaxed) }

    func closed() { count.wrappingSubtract(1, ordering: .relaxed) }

    /// Notes that much memory was freed, perhaps in small blocks.
    func mayTrimMemory() { hasFreedMuch.store(true, ordering: .relaxed) }

    /// Whether `mayTrimMemory` was called since the last time.
    func takeTrim() -> Bool { hasFreedMuch.exchange(false, ordering: .relaxed) }
}
