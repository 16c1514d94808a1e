import JSONCodec
import NIOCore
import PubSubMessages

/// Counts of what passes, a row for each room, event, sender or namespace. Time is an argument.
struct TrafficTable {
    /// What a row stands for.
    enum Key: Hashable {
        case named(ByteString)
        /// A broadcast, or a message without event, sender or namespace.
        case unnamed
        case undecodable
    }

    struct Row {
        let key: Key
        var messages = 0
        var bytes = 0
        var maximumBytes = 0
        /// How the last message was written.
        private var form: WireForm
        /// All ways in which messages were written.
        private(set) var forms: Set<WireForm>
        var lastSeen: NIODeadline
        fileprivate var longestGap: TimeAmount = .zero
        fileprivate var before = (messages: 0, bytes: 0)
        /// In the interval before the last `refresh`.
        fileprivate(set) var messagesPerSecond = 0.0
        fileprivate(set) var bytesPerSecond = 0.0

        init(_ key: Key, form: WireForm, at now: NIODeadline) {
            self.key = key
            self.form = form
            forms = [form]
            lastSeen = now
        }

        var averageBytes: Int { messages == 0 ? 0 : bytes / messages }

        /// The longest time without a message, the present one included.
        func gap(at now: NIODeadline) -> TimeAmount { max(longestGap, now - lastSeen) }

        fileprivate mutating func count(bytes count: Int, _ form: WireForm, at now: NIODeadline) {
            if messages > 0 { longestGap = max(longestGap, now - lastSeen) }
            lastSeen = now
            messages += 1
            bytes += count
            maximumBytes = max(maximumBytes, count)
            // Spares the set nearly always: a sender doesn't change.
            if form != self.form { forms.insert(form) }
            self.form = form
        }

        fileprivate mutating func refresh(seconds: Double) {
            messagesPerSecond = Double(messages - before.messages) / seconds
            bytesPerSecond = Double(bytes - before.bytes) / seconds
            before = (messages, bytes)
        }

        fileprivate mutating func absorb(_ row: Row) {
            messages += row.messages
            bytes += row.bytes
            before.messages += row.messages
            before.bytes += row.bytes
            maximumBytes = max(maximumBytes, row.maximumBytes)
            forms.formUnion(row.forms)
            lastSeen = max(lastSeen, row.lastSeen)
        }
    }

    private(set) var rows: [Row] = []
    private var places: [Key: Int] = [:]
    private let capacity: Int
    /// What found no row of its own.
    private(set) var others: Row?
    private var lastRefresh: NIODeadline

    /// A full table gives up rows that have been quiet for this long, so that those of today find room.
    private static let staleAfter = TimeAmount.seconds(60)

    /// - Parameter capacity: most rows; the rest is added up in `others`.
    init(capacity: Int, at now: NIODeadline) {
        self.capacity = capacity
        lastRefresh = now
    }

    mutating func count(_ key: Key, bytes: Int, _ form: WireForm, at now: NIODeadline) {
        if let place = places[key] {
            rows[place].count(bytes: bytes, form, at: now)
        } else if rows.count < capacity {
            places[key] = rows.count
            rows.append(Row(key, form: form, at: now))
            rows[rows.count - 1].count(bytes: bytes, form, at: now)
        } else {
            if others == nil { others = Row(.unnamed, form: form, at: now) }
            others?.count(bytes: bytes, form, at: now)
        }
    }

    /// Computes the rates since the last call, and makes room in a full table.
    mutating func refresh(at now: NIODeadline) {
        let seconds = max(Double((now - lastRefresh).nanoseconds) / 1e9, 1e-6)
        lastRefresh = now
        for index in rows.indices { rows[index].refresh(seconds: seconds) }
        others?.refresh(seconds: seconds)
        guard rows.count == capacity else { return }
        let stale = rows.filter { now - $0.lastSeen > Self.staleAfter }
        guard !stale.isEmpty else { return }
        for row in stale {
            if others == nil { others = row } else { others?.absorb(row) }
        }
        rows.removeAll { now - $0.lastSeen > Self.staleAfter }
        places = Dictionary(uniqueKeysWithValues: rows.enumerated().map { ($1.key, $0) })
    }

    /// The first rows in an order.
    func sorted(by order: TrafficOrder, at now: NIODeadline) -> [Row] {
        rows.sorted { order.precedes($0, $1, at: now) }
    }
}

/// What a table is sorted by: the largest first, names in the order of their bytes.
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
            case .messages: larger { $0.messagesPerSecond }
            case .bytes: larger { $0.bytesPerSecond }
            case .average: larger { $0.averageBytes }
            case .maximum: larger { $0.maximumBytes }
            case .total: nil
            case .last: larger { $0.lastSeen }
            case .gap: larger { $0.gap(at: now) }
            case .name: nil
            }
        if let first { return first }
        // Rows of the same rate keep still from one picture to the next.
        if self != .name, let total = larger({ $0.messages }) { return total }
        return Self.bytes(left.key).lexicographicallyPrecedes(Self.bytes(right.key))
    }

    private static func bytes(_ key: TrafficTable.Key) -> [UInt8] {
        if case .named(let name) = key { name.bytes } else { [] }
    }
}
