import Logging
import NIOCore
import Synchronization

/// Who keeps the beginning of a client's message, or of a request's body, until its end comes.
protocol UnfinishedInput: AnyObject {
    /// Bytes that it keeps, as its shard knows. No larger than need be: each client has this.
    var unfinishedBytes: UInt32 { get set }

    /// Ends the connection, to free what it keeps.
    func giveUpUnfinished()
}

/// The bytes of all unfinished messages of all event loops of a listener, and how many there may be.
final class UnfinishedTotal: Sendable {
    let limit: Int
    private let count = Atomic(0)
    /// When the bound was last logged.
    private let logged = Atomic(UInt64.max)

    init(limit: Int) { self.limit = limit }

    func add(_ bytes: Int) { count.wrappingAdd(bytes, ordering: .relaxed) }

    var isOverLimit: Bool { count.load(ordering: .relaxed) > limit }
    /// Some are given up at once, so that under attack not each read looks for the oldest.
    var isWellBelowLimit: Bool { count.load(ordering: .relaxed) <= limit - limit / 8 }

    /// Whether a minute has passed since the last line, whichever loop wrote it.
    func mayLog(at now: NIODeadline) -> Bool {
        let last = logged.load(ordering: .relaxed)
        guard last == .max || now.uptimeNanoseconds >= last + 60_000_000_000 else { return false }
        return logged.compareExchange(expected: last, desired: now.uptimeNanoseconds, ordering: .relaxed).exchanged
    }
}

/// The unfinished messages of one event loop, and since when there are such.
struct UnfinishedInputs {
    private var entries: [ObjectIdentifier: (input: any UnfinishedInput, order: UInt64)] = [:]
    private var lastOrder: UInt64 = 0

    var count: Int { entries.count }

    mutating func begin(_ input: any UnfinishedInput) {
        lastOrder += 1
        entries[ObjectIdentifier(input)] = (input, lastOrder)
    }

    mutating func end(_ input: any UnfinishedInput) { entries[ObjectIdentifier(input)] = nil }

    var oldestFirst: [any UnfinishedInput] { entries.values.sorted { $0.order < $1.order }.map(\.input) }
}

extension Shard {
    /// Notes how many bytes of an unfinished message `input` keeps now. Where all together are too many, the connections
    /// whose messages began first are closed: an honest client's end comes soon.
    func note(unfinishedBytes bytes: Int, of input: any UnfinishedInput) {
        let (before, bytes) = (input.unfinishedBytes, UInt32(clamping: bytes))
        guard bytes != before else { return }
        input.unfinishedBytes = bytes
        if before == 0 { unfinished.begin(input) } else if bytes == 0 { unfinished.end(input) }
        allConnections.unfinished.add(Int(bytes) - Int(before))
        if bytes > before, allConnections.unfinished.isOverLimit { giveUpUnfinished() }
    }

    private func giveUpUnfinished() {
        let total = allConnections.unfinished
        for input in unfinished.oldestFirst {
            guard !total.isWellBelowLimit else { break }
            counters.unfinishedGivenUp += 1
            note(unfinishedBytes: 0, of: input)
            input.giveUpUnfinished()
        }
        allConnections.mayTrimMemory()
        if total.mayLog(at: .now()) {
            logger.warning(
                "unfinished messages of clients fill --max-unfinished: the connections whose messages began first are closed (said once a minute)",
                metadata: ["limit_bytes": "\(total.limit)", "closed": "\(counters.unfinishedGivenUp)"])
        }
    }
}
