import Synchronization

/// A document lent to one decoding after the other, so that a single `PickleValue(decoding:)` finds memory ready.
///
/// `@unchecked Sendable`: it is taken out of the pool under its lock and given back when decoding is over; in between only
/// the borrower has it.
final class PickleScratch: @unchecked Sendable {
    var document = PickleDocument()

    private static let pool = Mutex<[PickleScratch]>([])
    /// As many as threads may decode at once; more are simply freed.
    private static let poolSize = 16
    /// Nodes above which a document is not kept: 4 MiB.
    private static let keptNodes = 1 << 18

    /// Takes a document with these limits.
    static func borrow(limits: PickleLimits) -> PickleScratch {
        let scratch = pool.withLock { $0.popLast() } ?? PickleScratch()
        scratch.document.machine.limits = limits
        return scratch
    }

    /// Gives the document back.
    func giveBack() {
        guard document.machine.tape.nodes.capacity <= Self.keptNodes else { return }
        document.forgetInput()
        Self.pool.withLock { pool in
            if pool.count < Self.poolSize { pool.append(self) }
        }
    }
}

extension PickleDocument {
    /// Forgets the input, whose bytes are about to go.
    mutating func forgetInput() {
        machine.load(UnsafeRawBufferPointer(start: nil, count: 0))
    }
}
