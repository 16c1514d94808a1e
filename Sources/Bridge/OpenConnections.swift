import Synchronization

/// The connections of all event loops of a listener, and how many there may be.
final class OpenConnections: Sendable {
    let limit: Int
    private let count = Atomic(0)

    init(limit: Int) { self.limit = limit }

    /// Two loops that ask at the same moment may both be told that there is room: there can be as many too many as there are loops.
    var isFull: Bool { count.load(ordering: .relaxed) >= limit }

    func opened() { count.wrappingAdd(1, ordering: .relaxed) }

    func closed() { count.wrappingSubtract(1, ordering: .relaxed) }
}
