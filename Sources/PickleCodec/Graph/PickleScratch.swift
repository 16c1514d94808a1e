import Synchronization

/// A document that decodings borrow one after the other, so that a single `PickleValue(decoding:)` reuses memory.
///
/// `@unchecked Sendable`: it is taken out of the pool atomically and given back when decoding is over; in between only the
/// borrower has it.
final class PickleScratch: @unchecked Sendable {
    // Unchecked: only the borrower has it, and a small pickle is decoded in the time of a few checks.
    @exclusivity(unchecked) var document = PickleDocument()

    /// The one given back last, retained. One thread needs no other, and this is cheaper than a lock.
    private static let latest = Atomic<Unmanaged<PickleScratch>?>(nil)
    private static let pool = Mutex<[PickleScratch]>([])
    /// As many as threads may decode at once; more are simply freed.
    private static let poolSize = 16
    /// Nodes above which a document is not kept: 4 MiB.
    private static let keptNodes = 1 << 18

    /// Takes a document with these limits.
    static func borrow(limits: PickleLimits) -> PickleScratch {
        let latest = latest.exchange(nil, ordering: .acquiring)?.takeRetainedValue()
        let scratch = latest ?? pool.withLock { $0.popLast() } ?? PickleScratch()
        scratch.document.machine.limits = limits
        return scratch
    }

    /// Gives the document back.
    func giveBack() {
        guard document.machine.tape.nodes.capacity <= Self.keptNodes else { return }
        document.forgetInput()
        let own = Unmanaged.passRetained(self)
        if Self.latest.compareExchange(expected: nil, desired: own, ordering: .releasing).exchanged { return }
        own.release()
        Self.pool.withLock { pool in
            if pool.count < Self.poolSize { pool.append(self) }
        }
    }
}

/// The same for writing: a builder and a serializer.
///
/// `@unchecked Sendable` for the same reason.
final class PickleSerializerScratch: @unchecked Sendable {
    private var builder = PickleGraph.Builder()
    private var serializer = PickleSerializer()

    private static let pool = Mutex<[PickleSerializerScratch]>([])
    private static let poolSize = 16
    /// Bytes above which the memory is not kept.
    private static let keptBytes = 4 << 20

    static func borrow() -> PickleSerializerScratch {
        pool.withLock { $0.popLast() } ?? PickleSerializerScratch()
    }

    func giveBack() {
        let builderBytes = builder.tape.nodes.capacity * 16 + builder.tape.scratch.capacity
        guard builderBytes + serializer.heldBytes <= Self.keptBytes else { return }
        Self.pool.withLock { pool in
            if pool.count < Self.poolSize { pool.append(self) }
        }
    }

    /// Writes a tree.
    func serialize(_ value: PickleValue, _ version: Int, _ isFramed: Bool) throws(PickleWriteError) -> [UInt8] {
        builder.reset()
        let root = builder.add(value)
        return try serializer.serialize(root.index, of: builder.tape, version, isFramed)
    }

    /// Writes the value of a node of a graph.
    func serialize(
        _ root: UInt32, of tape: borrowing PickleTape, _ version: Int, _ isFramed: Bool
    ) throws(PickleWriteError) -> [UInt8] {
        try serializer.serialize(root, of: tape, version, isFramed)
    }
}

extension PickleDocument {
    /// Forgets the input, which is about to be freed.
    mutating func forgetInput() {
        machine.load(UnsafeRawBufferPointer(start: nil, count: 0))
    }
}
