import Bytes
import NIOCore
import PubSubMessages
import RedisPubSub

/// Messages and bytes, in all and per second.
struct Tally {
    private(set) var messages = 0
    private(set) var bytes = 0
    /// In the interval before the last `refresh`.
    private(set) var messagesPerSecond = 0.0
    private(set) var bytesPerSecond = 0.0
    private var before = (messages: 0, bytes: 0)

    mutating func count(bytes count: Int) {
        messages += 1
        bytes += count
    }

    /// Computes the rates since the last call, which was `interval` ago; nil only starts the clock.
    mutating func refresh(after interval: TimeAmount?) {
        if let interval {
            let seconds = max(Double(interval.nanoseconds) / 1e9, 1e-6)
            messagesPerSecond = Double(messages - before.messages) / seconds
            bytesPerSecond = Double(bytes - before.bytes) / seconds
        }
        before = (messages, bytes)
    }

    /// `5,078 messages/s, 1.4 MB/s`.
    var rates: String { "\(Quantity.rate(messagesPerSecond)) messages/s, \(Quantity.bytes(bytesPerSecond))/s" }

    /// The same numbers as if all had come in one interval, whose rates `refresh` then computes.
    var total: Tally {
        var total = self
        total.before = (0, 0)
        return total
    }

    /// Adds what was counted earlier: it doesn't change the rates.
    mutating func absorb(_ other: Tally) {
        messages += other.messages
        bytes += other.bytes
        before.messages += other.messages
        before.bytes += other.bytes
    }
}

/// Counts of all messages since the first subscription, and its losses. Time is an argument.
struct TrafficCounts {
    /// The time of the first subscription.
    private(set) var start: NIODeadline?
    private(set) var outages = Outages()
    private(set) var tally = Tally()
    private(set) var undecodable = 0
    private var lastRefresh: NIODeadline?
    private var methods: [ByteString: Int] = [:]
    private var formats: [WireFormat: Int] = [:]

    mutating func count(_ inspection: MessageInspector.Inspection, bytes count: Int) {
        tally.count(bytes: count)
        formats[inspection.wireFormat, default: 0] += 1
        if case .undecodable = inspection.format { return undecodable += 1 }
        var method = inspection.summary.method ?? "(no method)"
        if methods[method] == nil, methods.count >= Limits.methods { method = "(others)" }
        methods[method, default: 0] += 1
    }

    /// - Returns: true for the first subscription, which starts the clock.
    mutating func subscriptionChanged(_ state: SubscriptionState, at now: NIODeadline) -> Bool {
        outages.note(state, at: now)
        guard state == .subscribed, start == nil else { return false }
        start = now
        refresh(at: now)
        return true
    }

    /// Computes the rates since the last call; the first one starts the clock.
    mutating func refresh(at now: NIODeadline) {
        tally.refresh(after: lastRefresh.map { now - $0 })
        lastRefresh = now
    }

    /// `emit 12, close_room 1`, the largest first.
    var methodList: String { Self.list(methods.map { ($0.key.printable(maximumBytes: Limits.methodBytes), $0.value) }) }

    /// `pickle 4: 12, JSON 5.15.1+: 1`, the largest first, without undecodable messages.
    var formatList: String {
        Self.list(formats.filter { $0.key != .undecodable }.map { ("\($0.key):", $0.value) })
    }

    private static func list(_ counts: [(name: String, count: Int)]) -> String {
        counts.sorted { ($1.count, $0.name) < ($0.count, $1.name) }.map { "\($0.name) \($0.count)" }
            .joined(separator: ", ")
    }
}

/// The times without a subscription after the first one: messages published then are not known.
struct Outages {
    private(set) var count = 0
    private var total: TimeAmount = .zero
    private(set) var since: NIODeadline?
    private var hasBegun = false

    mutating func note(_ state: SubscriptionState, at now: NIODeadline) {
        switch state {
        case .subscribed:
            if let since { total = total + (now - since) }
            since = nil
            hasBegun = true
        case .lost(_, let loss):
            guard hasBegun, since == nil else { return }
            count += 1
            since = loss
        }
    }

    /// `the subscription was lost once, for 3.1 s`; nil if it never was.
    func sentence(at now: NIODeadline) -> String? {
        guard count > 0 else { return nil }
        let sum = since.map { total + (now - $0) } ?? total
        let times = count == 1 ? "once" : "\(count) times"
        return "the subscription was lost \(times), for \(Quantity.seconds(sum)) s: "
            + "what was published then is missing"
    }
}

/// Counts of messages, a row for each room, event, sender or namespace. Time is an argument.
struct TrafficTable {
    /// The meaning of a row.
    enum Key: Hashable {
        case named(ByteString)
        /// A broadcast, or a message without event, sender or namespace.
        case unnamed
        case undecodable
    }

    struct Row {
        let key: Key
        private(set) var tally = Tally()
        private(set) var maximumBytes = 0
        /// The format of the last message.
        private var format: WireFormat
        /// The formats of all messages.
        private(set) var formats: Set<WireFormat>
        private(set) var lastSeen: NIODeadline
        private var longestGap: TimeAmount = .zero

        init(_ key: Key, format: WireFormat, at now: NIODeadline) {
            self.key = key
            self.format = format
            formats = [format]
            lastSeen = now
        }

        var averageBytes: Int { tally.messages == 0 ? 0 : tally.bytes / tally.messages }

        /// The longest time without a message, the present one included.
        func gap(at now: NIODeadline) -> TimeAmount { max(longestGap, now - lastSeen) }

        fileprivate mutating func count(bytes count: Int, _ format: WireFormat, at now: NIODeadline) {
            if tally.messages > 0 { longestGap = max(longestGap, now - lastSeen) }
            lastSeen = now
            tally.count(bytes: count)
            maximumBytes = max(maximumBytes, count)
            // A sender's format rarely changes: this saves nearly all accesses to the set.
            if format != self.format { formats.insert(format) }
            self.format = format
        }

        fileprivate mutating func refresh(after interval: TimeAmount) { tally.refresh(after: interval) }

        fileprivate mutating func absorb(_ row: Row) {
            tally.absorb(row.tally)
            maximumBytes = max(maximumBytes, row.maximumBytes)
            formats.formUnion(row.formats)
            lastSeen = max(lastSeen, row.lastSeen)
        }
    }

    private(set) var rows: [Row] = []
    private var indices: [Key: Int] = [:]
    private let capacity: Int
    /// Messages without a row of their own.
    private(set) var others: Row?
    private var lastRefresh: NIODeadline

    /// A full table gives up rows that have been quiet for this long.
    private static let staleAfter = TimeAmount.seconds(Int64(Limits.staleRowSeconds))

    /// - Parameter capacity: most rows; the rest is added up in `others`.
    init(capacity: Int, at now: NIODeadline) {
        self.capacity = capacity
        lastRefresh = now
    }

    mutating func count(_ key: Key, bytes: Int, _ format: WireFormat, at now: NIODeadline) {
        if let index = indices[key] {
            rows[index].count(bytes: bytes, format, at: now)
        } else if rows.count < capacity {
            indices[key] = rows.count
            rows.append(Row(key, format: format, at: now))
            rows[rows.count - 1].count(bytes: bytes, format, at: now)
        } else {
            if others == nil { others = Row(.unnamed, format: format, at: now) }
            others?.count(bytes: bytes, format, at: now)
        }
    }

    /// Computes the rates since the last call, and makes room in a full table.
    mutating func refresh(at now: NIODeadline) {
        let interval = now - lastRefresh
        lastRefresh = now
        for index in rows.indices { rows[index].refresh(after: interval) }
        others?.refresh(after: interval)
        guard rows.count == capacity else { return }
        let stale = rows.filter { now - $0.lastSeen > Self.staleAfter }
        guard !stale.isEmpty else { return }
        for row in stale {
            if others == nil { others = row } else { others?.absorb(row) }
        }
        rows.removeAll { now - $0.lastSeen > Self.staleAfter }
        indices = Dictionary(uniqueKeysWithValues: rows.enumerated().map { ($1.key, $0) })
    }

    /// The first rows in an order.
    func sorted(by order: TrafficOrder, at now: NIODeadline) -> [Row] {
        rows.sorted { order.precedes($0, $1, at: now) }
    }
}

/// The column that a table is sorted by: the largest first, names in the order of their bytes.
enum TrafficOrder: String, CaseIterable {
    case messages, bytes, average, maximum, total, last, gap, name

    /// The key that chooses it: its first letter, which `messages` has taken from `maximum`.
    var letter: Character? { self == .maximum ? "x" : rawValue.first }

    fileprivate func precedes(_ left: TrafficTable.Row, _ right: TrafficTable.Row, at now: NIODeadline) -> Bool {
        let (first, second) = (value(of: left, at: now), value(of: right, at: now))
        if first != second { return first > second }
        // Rows with the same rate keep their order from frame to frame.
        if self != .name, left.tally.messages != right.tally.messages {
            return left.tally.messages > right.tally.messages
        }
        return Self.bytes(left.key).lexicographicallyPrecedes(Self.bytes(right.key))
    }

    private func value(of row: TrafficTable.Row, at now: NIODeadline) -> Double {
        switch self {
        case .messages: row.tally.messagesPerSecond
        case .bytes: row.tally.bytesPerSecond
        case .average: Double(row.averageBytes)
        case .maximum: Double(row.maximumBytes)
        case .last: Double(row.lastSeen.uptimeNanoseconds)
        case .gap: Double(row.gap(at: now).nanoseconds)
        case .total, .name: 0
        }
    }

    private static func bytes(_ key: TrafficTable.Key) -> [UInt8] {
        if case .named(let name) = key { name.bytes } else { [] }
    }
}
