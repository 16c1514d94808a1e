import Bytes
import NIOCore
import PubSubMessages

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

    /// Adds what was counted earlier: it doesn't change the rates.
    mutating func absorb(_ other: Tally) {
        messages += other.messages
        bytes += other.bytes
        before.messages += other.messages
        before.bytes += other.bytes
    }
}

/// Counts of all messages. Time is an argument.
struct TrafficCounts {
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

    /// Computes the rates since the last call; the first one starts the clock.
    mutating func refresh(at now: NIODeadline) {
        tally.refresh(after: lastRefresh.map { now - $0 })
        lastRefresh = now
    }

    /// `emit 12, close_room 1`, the largest first.
    var methodList: String { Self.list(methods.map { (Self.name($0.key), $0.value) }) }

    /// `pickle 4: 12, JSON 5.15.1+: 1`, the largest first, without undecodable messages.
    var formatList: String {
        Self.list(formats.filter { $0.key != .undecodable }.map { ("\($0.key):", $0.value) })
    }

    private static func list(_ counts: [(name: String, count: Int)]) -> String {
        counts.sorted { ($1.count, $0.name) < ($0.count, $1.name) }.map { "\($0.name) \($0.count)" }
            .joined(separator: ", ")
    }

    private static func name(_ method: ByteString) -> String {
        var writer = JSONWriter(capacity: 64)
        method.withUnsafeBytes {
            PrintableText.append(UnsafeRawBufferPointer(rebasing: $0.prefix(Limits.methodBytes)), to: &writer)
        }
        return writer.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
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

    /// The key that chooses it.
    var letter: Character {
        switch self {
        case .messages: "m"
        case .bytes: "b"
        case .average: "a"
        case .maximum: "x"
        case .total: "t"
        case .last: "l"
        case .gap: "g"
        case .name: "n"
        }
    }

    fileprivate func precedes(_ left: TrafficTable.Row, _ right: TrafficTable.Row, at now: NIODeadline) -> Bool {
        func larger<Value: Comparable>(_ value: (TrafficTable.Row) -> Value) -> Bool? {
            value(left) == value(right) ? nil : value(left) > value(right)
        }
        let first: Bool? =
            switch self {
            case .messages: larger { $0.tally.messagesPerSecond }
            case .bytes: larger { $0.tally.bytesPerSecond }
            case .average: larger { $0.averageBytes }
            case .maximum: larger { $0.maximumBytes }
            case .total: nil
            case .last: larger { $0.lastSeen }
            case .gap: larger { $0.gap(at: now) }
            case .name: nil
            }
        if let first { return first }
        // Rows with the same rate keep their order from frame to frame.
        if self != .name, let total = larger({ $0.tally.messages }) { return total }
        return Self.bytes(left.key).lexicographicallyPrecedes(Self.bytes(right.key))
    }

    private static func bytes(_ key: TrafficTable.Key) -> [UInt8] {
        if case .named(let name) = key { name.bytes } else { [] }
    }
}
