import Synchronization

/// Counts the connections of all event loops of a listener, up to a limit.
final class OpenConnections: Sendable {
    let limit: Int
    let unfinished: UnfinishedTotal
    private let count = Atomic(0)
    private let hasFreedMuch = Atomic(false)
    private let hasRefused = Atomic(false)

    init(limit: Int, unfinishedLimit: Int = 64 << 20) {
        self.limit = limit
        unfinished = UnfinishedTotal(limit: unfinishedLimit)
    }

    /// Loops that ask at the same moment may each find the last free slot, so the limit can be exceeded by the number of loops.
    var isFull: Bool { count.load(ordering: .relaxed) >= limit }

    /// True for the first call on any event loop.
    func isFirstRefusal() -> Bool { !hasRefused.exchange(true, ordering: .relaxed) }

    func opened() { count.wrappingAdd(1, ordering: .relaxed) }

    func closed() { count.wrappingSubtract(1, ordering: .relaxed) }

    /// Called after much memory was freed, possibly in small blocks.
    func mayTrimMemory() { hasFreedMuch.store(true, ordering: .relaxed) }

    /// True if `mayTrimMemory` was called since the last call of `takeTrim`.
    func takeTrim() -> Bool { hasFreedMuch.exchange(false, ordering: .relaxed) }
}
