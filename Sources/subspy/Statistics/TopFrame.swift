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
        let order: TrafficOrder?
        /// Narrow screens lose the highest first.
        let rank: Int
        let text: (TrafficTable.Row, NIODeadline) -> String
    }

    private static var numbers: [Column] {
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
            Column(title: "TOTAL", width: 10, order: .total, rank: 5) { row, _ in Quantity.grouped(row.tally.messages)
            },
            Column(title: "LAST", width: 7, order: .last, rank: 3) { row, now in time(now - row.lastSeen) },
            Column(title: "GAP", width: 7, order: .gap, rank: 7) { row, now in time(row.gap(at: now)) },
        ]
    }

    private static let formatWidth = 15
    /// Rank of the column of formats among the numbers.
    private static let formatRank = 2
    private static let leastName = 16
    /// Names longer than this are cut even where lines may be long.
    private static let widestName = 40

    private static func time(_ amount: TimeAmount) -> String { Quantity.seconds(.nanoseconds(amount.nanoseconds)) }

    // MARK: Heading

    func appendHeading(
        _ counts: TrafficCounts, duration: TimeAmount?, outages: Outages,
        at now: NIODeadline, isLive: Bool, to writer: inout JSONWriter
    ) {
        let totals =
            "\(Quantity.rate(counts.tally.messagesPerSecond)) messages/s, \(Quantity.bytes(counts.tally.bytesPerSecond))/s; "
            + "\(Quantity.grouped(counts.tally.messages)) messages, \(Quantity.bytes(Double(counts.tally.bytes))) in "
            + "\(Self.time(duration ?? .zero)) s; \(Quantity.grouped(counts.undecodable)) undecodable"
        appendLine(totals, .heading, to: &writer)
        let formats = counts.formatList
        if duration == nil {
            appendLine("waiting for Redis", .warning, to: &writer)
        } else if outages.since != nil {
            appendLine("Redis is away; " + (outages.sentence(at: now) ?? ""), .warning, to: &writer)
        } else if let sentence = outages.sentence(at: now) {
            appendLine(sentence, .warning, to: &writer)
        } else {
            appendLine(formats.isEmpty ? "no messages yet" : formats, .quiet, to: &writer)
        }
        if isLive { appendLine("q quits; sort: m b a x t l g n", .quiet, to: &writer) }
    }

    private func appendLine(_ text: String, _ color: Palette.Color, to writer: inout JSONWriter) {
        palette.begin(color, &writer)
        var row = Row(limit: columns)
        row.append(text, nil, isNumber: false, to: &writer)
        palette.end(&writer)
        writer.append(0x0A)
    }

    // MARK: Rows

    /// Appends titles and rows, at most `rows` of them, and a line about the rest.
    func append(_ table: TrafficTable, rows limit: Int, at now: NIODeadline, to writer: inout JSONWriter) {
        var (shown, showsFormat) = (Self.numbers, true)
        var left: Int {
            (columns ?? 120) - shown.reduce(0) { $0 + $1.width + 1 } - (showsFormat ? Self.formatWidth + 1 : 0)
        }
        while left < Self.leastName, let last = shown.max(by: { $0.rank < $1.rank }), last.rank > 0 {
            if showsFormat, last.rank < Self.formatRank {
                showsFormat = false
            } else {
                shown.removeAll { $0.rank == last.rank }
            }
        }
        let nameWidth = min(max(left, 4), Self.widestName)
        palette.begin(.heading, &writer)
        var titles = Row(limit: columns)
        titles.append(grouping.rawValue.uppercased(), nameWidth, isNumber: false, to: &writer)
        for column in shown {
            // The column that the table is sorted by.
            titles.append((column.order == order ? "▼" : "") + column.title, column.width, isNumber: true, to: &writer)
        }
        if showsFormat { titles.append("FORMAT", nil, isNumber: false, to: &writer) }
        palette.end(&writer)
        writer.append(0x0A)
        let sorted = table.sorted(by: order, at: now)
        // The row of others and the line about rows that don't fit take room too.
        let others = limit > 2 ? table.others : nil
        let isCut = sorted.count + (others == nil ? 0 : 1) > limit
        let visible = sorted.prefix(max(limit - (others == nil ? 0 : 1) - (isCut ? 1 : 0), 0))
        for row in visible {
            append(row, name(of: row.key), nameWidth, shown, showsFormat, at: now, to: &writer)
        }
        if let others { append(others, Array("(others)".utf8), nameWidth, shown, showsFormat, at: now, to: &writer) }
        if isCut, limit > 0 {
            appendLine("\(Quantity.grouped(sorted.count - visible.count)) more", .quiet, to: &writer)
        }
    }

    private func append(
        _ row: TrafficTable.Row, _ name: [UInt8], _ nameWidth: Int, _ shown: [Column], _ showsFormat: Bool,
        at now: NIODeadline, to writer: inout JSONWriter
    ) {
        var cells = Row(limit: columns)
        name.withUnsafeBytes { cells.append($0, nameWidth, isNumber: false, to: &writer) }
        for column in shown { cells.append(column.text(row, now), column.width, isNumber: true, to: &writer) }
        if showsFormat {
            cells.append(Self.text(of: row.formats), nil, isNumber: false, to: &writer)
        }
        writer.append(0x0A)
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

    /// Brackets tell what is no name; a room that is called so is shown the same.
    private func name(of key: TrafficTable.Key) -> [UInt8] {
        switch key {
        case .undecodable: return Array("(undecodable)".utf8)
        case .unnamed:
            switch grouping {
            case .room: return Array("(everyone)".utf8)
            case .event: return Array("(no event)".utf8)
            case .sender: return Array("(no host id)".utf8)
            case .namespace: return Array("(no namespace)".utf8)
            }
        case .named(let name):
            var writer = JSONWriter(capacity: 64)
            name.withUnsafeBytes {
                PrintableText.append(UnsafeRawBufferPointer(rebasing: $0.prefix(Limits.rowNameBytes)), to: &writer)
            }
            return writer.copyBytes()
        }
    }
}
