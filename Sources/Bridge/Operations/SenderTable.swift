import Bytes
import NIOCore
import PubSubMessages

/// The senders on the channel and the counts of their messages. Bounded: a sender that hasn't been heard for long makes room.
struct SenderTable {
    struct Entry: Sendable {
        /// Nil for all senders that give no host id.
        let hostID: ByteString?
        /// The format of its emits; nil before the first.
        var dialect: Dialect?
        var messages = 0
        var bytes = 0
        var refusals = 0
        /// The reason for the last refusal.
        var lastRefusal: String?
        var lastRefusedAt: NIODeadline?
        /// Messages delivered in spite of mistakes, and these mistakes.
        var corrected = 0
        var mistakes = SenderMistakes()
        /// Exact to one tick, which is some seconds.
        var lastSeen: NIODeadline
        /// Messages per second between the last two ticks.
        var rate = 0.0
        fileprivate var messagesAtTick = 0
        fileprivate var shownDialects: Set<Dialect> = []
        /// Seen again since it came, or since the clock hand passed it (CLOCK algorithm).
        fileprivate var isInUse = false

        /// The sum of two senders that look the same where they are shown.
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

    /// A change that is worth a line in the log.
    enum Change {
        case sender
        /// The sender has shown a format for the first time. A list alone doesn't tell two of the formats apart.
        case dialect
    }

    private(set) var entries: [Entry] = []
    /// Senders that made room for others.
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
    /// - Returns: the news about the sender, if there is any.
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

    /// Counts an unusable message. Costs more than `note`, since it keeps the reason.
    ///
    /// - Parameter byteCount: nil if `note` has counted the message.
    mutating func noteRefusal(_ hostID: ByteString?, _ refusal: String, byteCount: Int?) {
        if let byteCount { note(hostID, dialect: nil, byteCount: byteCount) } else { find(hostID) }
        entries[last].refusals += 1
        entries[last].lastRefusal = refusal
        entries[last].lastRefusedAt = .now()
    }

    /// True if only releases before 5.15.1 emit. Other ws-emit don't count: they read every format.
    var areAllBefore5_15_1: Bool {
        let dialects = entries.lazy.filter { $0.hostID.map { !HostID.isOfWSEmit($0) } ?? true }.compactMap(\.dialect)
        return !dialects.isEmpty && dialects.allSatisfy { $0 != .json5_15_1 }
    }

    /// Counts the mistakes of a message that `note` has counted.
    mutating func noteMistakes(_ hostID: ByteString?, _ mistakes: SenderMistakes) {
        find(hostID)
        entries[last].corrected += 1
        entries[last].mistakes.formUnion(mistakes)
    }

    /// Sets `last` to the sender, adding it if it is new.
    ///
    /// - Returns: whether it is new.
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

    /// Updates rates and times. Called every few seconds; visits each sender.
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

extension Dialect: CountedCase {
    var index: Int {
        switch self {
        case .pickle: 0
        case .json5_14_0: 1
        case .json5_14_2: 2
        case .json5_15_1: 3
        }
    }

    /// The value of the label `dialect`.
    var label: String { ["pickle", "json-5.14.0", "json-5.14.2", "json-5.15.1"][index] }
}
