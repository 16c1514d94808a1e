import JSONCodec
import NIOCore
import PubSubMessages

/// Who publishes on the channel, and what came of it; bounded, the one that has been quiet for longest makes room.
struct SenderTable {
    struct Entry: Sendable {
        /// Nil stands for all senders that don't say.
        let hostID: ByteString?
        /// How its emits are written; nil before the first.
        var dialect: Dialect?
        var messages = 0
        var bytes = 0
        var refusals = 0
        /// Why the last refused message was refused.
        var lastRefusal: String?
        var lastRefusedAt: NIODeadline?
        /// Messages delivered though something is wrong with them, and what that is.
        var corrected = 0
        var mistakes = Complaints()
        /// To the tick, some seconds.
        var lastSeen: NIODeadline
        /// Messages per second between the last two ticks.
        var rate = 0.0
        fileprivate var messagesAtTick = 0
        fileprivate var shownDialects: Set<Dialect> = []
        /// Seen again since it came, or since the clock hand passed it (CLOCK algorithm).
        fileprivate var isInUse = false

        /// The counts of two senders that can't be told apart where they are shown.
        func adding(_ other: Entry) -> Entry {
            var sum = self
            sum.messages += other.messages
            sum.bytes += other.bytes
            sum.refusals += other.refusals
            sum.corrected += other.corrected
            sum.rate += other.rate
            sum.lastSeen = max(lastSeen, other.lastSeen)
            return sum
        }
    }

    /// What the log is to say.
    enum Change {
        case sender
        /// A form in which it had not written before: of a list alone nobody can tell between two.
        case dialect
    }

    private(set) var entries: [Entry] = []
    /// Senders that had to make room for others.
    private(set) var forgotten = 0
    private var indexes: [ByteString?: Int] = [:]
    /// Messages come in runs of one sender.
    private var last = 0
    private var clockHand = 0
    private var lastTick: NIODeadline
    private let capacity: Int

    init(capacity: Int, now: NIODeadline) {
        self.capacity = max(1, capacity)
        lastTick = now
    }

    /// Counts a message.
    ///
    /// - Returns: what is new of this sender.
    @discardableResult
    mutating func note(_ hostID: ByteString?, dialect: Dialect?, byteCount: Int) -> Change? {
        var change: Change? = find(hostID) ? .sender : nil
        entries[last].messages += 1
        entries[last].bytes += byteCount
        if let dialect, entries[last].dialect != dialect {
            entries[last].dialect = dialect
            if entries[last].shownDialects.insert(dialect).inserted, change == nil { change = .dialect }
        }
        return change
    }

    /// Counts a message that can't be used. Costs more than `note`: it keeps the reason.
    ///
    /// - Parameter byteCount: nil when `note` has counted it.
    mutating func noteRefusal(_ hostID: ByteString?, _ refusal: String, byteCount: Int?) {
        if let byteCount { note(hostID, dialect: nil, byteCount: byteCount) } else { find(hostID) }
        entries[last].refusals += 1
        entries[last].lastRefusal = refusal
        entries[last].lastRefusedAt = .now()
    }

    /// Whether releases before 5.15.1 emit, and no later ones. Other ws-emit don't count: they read every form.
    var areAllBefore5_15_1: Bool {
        let dialects = entries.lazy.filter { $0.hostID.map { !HostID.isOfWSEmit($0) } ?? true }.compactMap(\.dialect)
        return !dialects.isEmpty && dialects.allSatisfy { $0 != .json5_15_1 }
    }

    /// Marks a message that has been counted as one that ought to be written otherwise.
    mutating func noteMistakes(_ hostID: ByteString?, _ mistakes: Complaints) {
        find(hostID)
        entries[last].corrected += 1
        entries[last].mistakes.formUnion(mistakes)
    }

    /// Makes the sender the last one.
    @discardableResult
    private mutating func find(_ hostID: ByteString?) -> Bool {
        if last < entries.count, entries[last].hostID == hostID {
            entries[last].isInUse = true
            return false
        }
        if let index = indexes[hostID] {
            last = index
            entries[last].isInUse = true
            return false
        }
        let entry = Entry(hostID: hostID, lastSeen: lastTick)
        if entries.count < capacity {
            last = entries.count
            entries.append(entry)
        } else {
            while entries[clockHand].isInUse {
                entries[clockHand].isInUse = false
                clockHand = (clockHand + 1) % capacity
            }
            last = clockHand
            clockHand = (clockHand + 1) % capacity
            indexes[entries[last].hostID] = nil
            entries[last] = entry
            forgotten += 1
        }
        indexes[hostID] = last
        return true
    }

    /// Brings rates and times up to date; to be called every few seconds, and costs one look at each sender.
    mutating func tick(at now: NIODeadline) {
        let seconds = (now - lastTick).seconds
        guard seconds > 0 else { return }
        lastTick = now
        for index in entries.indices {
            let new = entries[index].messages - entries[index].messagesAtTick
            entries[index].messagesAtTick = entries[index].messages
            entries[index].rate = Double(new) / seconds
            if new > 0 { entries[index].lastSeen = now }
        }
    }
}

extension Dialect {
    /// The value of the label `dialect`.
    var label: String {
        switch self {
        case .pickle: "pickle"
        case .json5_14_0: "json-5.14.0"
        case .json5_14_2: "json-5.14.2"
        case .json5_15_1: "json-5.15.1"
        }
    }
}
