import Synchronization

/// A document that decodings borrow one after the other, so that a single `PickleValue(decoding:)` reuses memory.
///
/// `@unchecked Sendable`: only the borrower has it, from taking it out of the pool until giving it back.
final class PickleScratch: @unchecked Sendable {
    var document = PickleDocument()

    private static let pool = ScratchPool<PickleScratch>()
    /// Nodes above which a document is not kept: 4 MiB.
    private static let keptNodes = 1 << 18

    /// Takes a document with these limits.
    static func borrow(limits: PickleLimits) -> PickleScratch {
        let scratch = pool.take() ?? PickleScratch()
        scratch.document.machine.limits = limits
        return scratch
    }

    /// Gives the document back, without the input, which is about to be freed.
    func giveBack() {
        guard document.machine.tape.nodes.capacity <= Self.keptNodes else { return }
        unsafe document.machine.load(UnsafeRawBufferPointer(start: nil, count: 0))
        Self.pool.keep(self)
    }
}

/// The same for writing: a builder and a serializer.
final class PickleSerializerScratch: @unchecked Sendable {
    private var builder = PickleGraph.Builder()
    private var serializer = PickleSerializer()

    private static let pool = ScratchPool<PickleSerializerScratch>()
    /// Bytes above which the memory is not kept.
    private static let keptBytes = 4 << 20

    static func borrow() -> PickleSerializerScratch { pool.take() ?? PickleSerializerScratch() }

    func giveBack() {
        let builderBytes = builder.tape.nodes.capacity * 16 + builder.tape.scratch.capacity
        if builderBytes + serializer.heldBytes <= Self.keptBytes { Self.pool.keep(self) }
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

/// Objects that wait for their next borrower: as many as threads may work at once, and no more.
private final class ScratchPool<Scratch: AnyObject & Sendable>: Sendable {
    private let free = Mutex<[Scratch]>([])

    func take() -> Scratch? { free.withLock { $0.popLast() } }

    func keep(_ scratch: Scratch) {
        free.withLock { free in
            if free.count < 16 { free.append(scratch) }
        }
    }
}
