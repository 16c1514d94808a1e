import NIOCore
import Synchronization

/// Holds the beginning of a client's message or of a request's body until the rest arrives.
protocol UnfinishedInput: AnyObject {
    /// Bytes held, as its host knows. 32 bits, since every client has this field.
    var unfinishedBytes: UInt32 { get set }

    /// Ends the connection and frees the bytes.
    func giveUpUnfinished()
}

/// Bytes of the unfinished messages on all event loops of a listener, and their limit.
final class UnfinishedTotal: Sendable {
    let limit: Int
    private let count = Atomic(0)
    /// When reaching the limit was last logged.
    private let logged = Atomic(UInt64.max)

    init(limit: Int) { self.limit = limit }

    func add(_ bytes: Int) { count.wrappingAdd(bytes, ordering: .relaxed) }

    var isOverLimit: Bool { count.load(ordering: .relaxed) > limit }
    /// An eighth is given up at once, so that under attack not every read has to look for the oldest.
    var isWellBelowLimit: Bool { count.load(ordering: .relaxed) <= limit - limit / 8 }

    /// True if a minute has passed since any loop last wrote the line.
    func mayLog(at now: NIODeadline) -> Bool {
        let last = logged.load(ordering: .relaxed)
        guard last == .max || now.uptimeNanoseconds >= last + 60_000_000_000 else { return false }
        return logged.compareExchange(expected: last, desired: now.uptimeNanoseconds, ordering: .relaxed).exchanged
    }
}

/// The unfinished messages of one event loop, in the order in which they began.
struct UnfinishedInputs {
    private var entries: [ObjectIdentifier: (input: any UnfinishedInput, order: UInt64)] = [:]
    private var lastOrder: UInt64 = 0

    var count: Int { entries.count }

    /// Notes how many bytes `input` holds now.
    ///
    /// - Returns: true if more are held than before and all together exceed the limit.
    mutating func note(_ bytes: Int, of input: any UnfinishedInput, total: UnfinishedTotal) -> Bool {
        let (before, bytes) = (input.unfinishedBytes, UInt32(clamping: bytes))
        guard bytes != before else { return false }
        input.unfinishedBytes = bytes
        if before == 0 {
            lastOrder += 1
            entries[ObjectIdentifier(input)] = (input, lastOrder)
        } else if bytes == 0 {
            entries[ObjectIdentifier(input)] = nil
        }
        total.add(Int(bytes) - Int(before))
        return bytes > before && total.isOverLimit
    }

    var oldestFirst: [any UnfinishedInput] { entries.values.sorted { $0.order < $1.order }.map(\.input) }
}
