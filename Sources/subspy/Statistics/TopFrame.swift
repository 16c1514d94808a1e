import Bytes
import NIOCore
import PubSubMessages

/// One table of `subspy top` as text.
struct TopFrame {
    let palette: Palette
    let grouping: TopCommand.Grouping
    let order: TrafficOrder
    /// Columns to fill; nil where lines may be as long as they are.
    let columns: Int?

    private struct Column {
        let title: String
        let width: Int
        var order: TrafficOrder?
        /// Narrow screens lose the highest first.
        let rank: Int
        let text: (TrafficTable.Row, NIODeadline) -> String
    }

    private static var columns: [Column] {
        [
            Column(title: "MSG/S", width: 8, order: .messages, rank: 0) { row, _ in
                Quantity.rate(row.tally.messagesPerSecond)
            },
            Column(title: "BYTES/S", width: 8, order: .bytes, rank: 1) { row, _ in
                Quantity.bytes(row.tally.bytesPerSecond)
            },
            Column(title: "AVG", width: 7, order: .average, rank: 4) { row, _ in
                Quantity.bytes(Double(row.averageBytes))
            },
            Column(title: "MAX", width: 7, order: .maximum, rank: 6) { row, _ in
                Quantity.bytes(Double(row.maximumBytes))
            },
            Column(title: "TOTAL", width: 10, order: .total, rank: 5) { row, _ in
                Quantity.grouped(row.tally.messages)
            },
            Column(title: "LAST", width: 7, order: .last, rank: 3) { row, now in Quantity.seconds(now - row.lastSeen) },
            Column(title: "GAP", width: 7, order: .gap, rank: 7) { row, now in Quantity.seconds(row.gap(at: now)) },
            Column(title: "FORMAT", width: 15, rank: 2) { row, _ in text(of: row.formats) },
        ]
    }

    private static let leastName = 16
    /// Names longer than this are cut even where lines may be long.
    private static let widestName = 40

    // MARK: Heading

    func appendHeading(_ counts: TrafficCounts, at now: NIODeadline, isLive: Bool, to writer: inout JSONWriter) {
        let (messages, bytes) = (Quantity.grouped(counts.tally.messages), Quantity.bytes(Double(counts.tally.bytes)))
        let duration = Quantity.seconds(counts.start.map { now - $0 } ?? .zero)
        let undecodable = "\(Quantity.grouped(counts.undecodable)) undecodable"
        appendLine(
            "\(counts.tally.rates); \(messages) messages, \(bytes) in \(duration) s; \(undecodable)", .heading,
            to: &writer)
        let lost = counts.outages.sentence(at: now)
        if counts.start == nil {
            appendLine("waiting for Redis", .warning, to: &writer)
        } else if let lost {
            appendLine((counts.outages.since == nil ? "" : "Redis is away; ") + lost, .warning, to: &writer)
        } else {
            appendLine(counts.formatList.isEmpty ? "no messages yet" : counts.formatList, .quiet, to: &writer)
        }
        if isLive { appendLine("q quits; sort: m b a x t l g n", .quiet, to: &writer) }
    }

    private func appendLine(_ text: String, _ color: Palette.Color, to writer: inout JSONWriter) {
        palette.paint(color, &writer) { writer in
            var row = Row(limit: columns)
            row.append(text, nil, to: &writer)
        }
        writer.append(0x0A)
    }

    // MARK: Rows

    /// Appends titles and rows, at most `rows` of them, and a line about the rest.
    func append(_ table: TrafficTable, rows limit: Int, at now: NIODeadline, to writer: inout JSONWriter) {
        var shown = Self.columns
        var left: Int { (columns ?? 120) - shown.reduce(0) { $0 + $1.width + 1 } }
        while left < Self.leastName, let last = shown.max(by: { $0.rank < $1.rank }), last.rank > 0 {
            shown.removeAll { $0.rank == last.rank }
        }
        let nameWidth = min(max(left, 4), Self.widestName)
        func appendRow(_ name: String, to writer: inout JSONWriter, _ text: (Column) -> String) {
            var row = Row(limit: columns)
            row.append(name, nameWidth, to: &writer)
            // Only the formats have no order; they come last, and take what is left.
            for column in shown {
                let isNumber = column.order != nil
                row.append(text(column), isNumber ? column.width : nil, isNumber: isNumber, to: &writer)
            }
        }
        palette.paint(.heading, &writer) { writer in
            appendRow(grouping.rawValue.uppercased(), to: &writer) { ($0.order == order ? "▼" : "") + $0.title }
        }
        writer.append(0x0A)
        let sorted = table.sorted(by: order, at: now)
        // The row of others and the line about rows that don't fit take room too.
        let others = limit > 2 ? table.others : nil
        let isCut = sorted.count + (others == nil ? 0 : 1) > limit
        let visible = sorted.prefix(max(limit - (others == nil ? 0 : 1) - (isCut ? 1 : 0), 0))
        let named = visible.map { (name(of: $0.key), $0) } + (others.map { [("(others)", $0)] } ?? [])
        for (name, row) in named {
            appendRow(name, to: &writer) { $0.text(row, now) }
            writer.append(0x0A)
        }
        if isCut, limit > 0 {
            appendLine("\(Quantity.grouped(sorted.count - visible.count)) more", .quiet, to: &writer)
        }
    }

    /// `pickle 2/4, JSON 5.15.1+`.
    private static func text(of formats: Set<WireFormat>) -> String {
        var versions: [String: [String]] = [:]
        for format in formats {
            let words = "\(format)".split(separator: " ").map(String.init)
            versions[words[0], default: []] += words.dropFirst()
        }
        return versions.sorted { $0.key > $1.key }
            .map { $0.value.isEmpty ? $0.key : "\($0.key) \($0.value.sorted().joined(separator: "/"))" }
            .joined(separator: ", ")
    }

    /// Brackets mark a row without a name; a room that is called so is shown the same.
    private func name(of key: TrafficTable.Key) -> String {
        switch key {
        case .undecodable: "(undecodable)"
        case .unnamed:
            switch grouping {
            case .room: "(everyone)"
            case .event: "(no event)"
            case .sender: "(no host id)"
            case .namespace: "(no namespace)"
            }
        case .named(let name): name.printable(maximumBytes: Limits.rowNameBytes)
        }
    }
}
