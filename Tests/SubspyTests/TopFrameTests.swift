import JSONCodec
import NIOCore
import PubSubMessages
import RedisPubSub
import Testing

@testable import subspy

@Suite struct TopFrameTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func lines(_ append: (inout JSONWriter) -> Void) -> [String] {
        var writer = JSONWriter()
        append(&writer)
        let text = writer.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    private func frame(
        _ order: TrafficOrder = .messages, by grouping: TopCommand.Grouping = .event, columns: Int? = nil
    ) -> TopFrame {
        TopFrame(palette: Palette(.never), grouping: grouping, order: order, columns: columns)
    }

    /// Rows `a` and `b`, two messages without a name, and one of a row that finds no place.
    private var table: TrafficTable {
        var table = TrafficTable(capacity: 3, at: start)
        table.count(.named("a"), bytes: 100, .pickle(protocolVersion: 4), at: start)
        table.count(.named("a"), bytes: 300, .pickle(protocolVersion: 2), at: start + .seconds(1))
        table.count(.named("b\u{1B}\\"), bytes: 1500, .json(.json5_15_1), at: start + .seconds(2))
        for _ in 0..<2 { table.count(.unnamed, bytes: 7, .json(nil), at: start + .seconds(3)) }
        table.count(.named("d"), bytes: 5, .json(nil), at: start + .seconds(4))
        table.refresh(at: start + .seconds(4))
        return table
    }

    @Test func `a row has its numbers, then its formats`() {
        let shown = lines { frame().append(table, rows: .max, at: start + .seconds(5), to: &$0) }
        #expect(
            shown.map { $0.split(separator: " ").joined(separator: " ") } == [
                "EVENT ▼MSG/S BYTES/S AVG MAX TOTAL LAST GAP FORMAT",
                "(no event) 0.5 4 B 7 B 7 B 2 2.0 2.0 JSON", "a 0.5 100 B 200 B 300 B 2 4.0 4.0 pickle 2/4",
                "b\\x1b\\\\ 0.3 375 B 1.5 kB 1.5 kB 1 3.0 3.0 JSON 5.15.1+",
                "(others) 0.3 1 B 5 B 5 B 1 1.0 1.0 JSON",
            ])
    }

    @Test(
        arguments: [
            (.maximum, "▼MAX", ["b\\x1b\\\\", "a", "(no event)"]), (.name, nil, ["(no event)", "a", "b\\x1b\\\\"]),
            (.last, "▼LAST", ["(no event)", "b\\x1b\\\\", "a"]),
        ] as [(TrafficOrder, String?, [String])])
    func `the title of the order is marked, and the others stay last`(
        order: TrafficOrder, title: String?, names: [String]
    ) {
        let shown = lines { frame(order).append(table, rows: .max, at: start + .seconds(5), to: &$0) }
        #expect(shown[0].split(separator: " ").map(String.init).first { $0.hasPrefix("▼") } == title)
        #expect(
            shown.dropFirst().dropLast().map { String($0.prefix(10).split(separator: "  ")[0]) }.map(trimmed) == names)
        #expect(shown.last?.hasPrefix("(others)") == true)
    }

    private func trimmed(_ text: String) -> String {
        text.hasSuffix(" ") ? trimmed(String(text.dropLast())) : text
    }

    @Test(arguments: 1...130)
    func `a narrow table loses columns and is never wider than the screen`(columns: Int) throws {
        let shown = lines { frame(columns: columns).append(table, rows: .max, at: start + .seconds(5), to: &$0) }
        #expect(shown.allSatisfy { Array($0.utf8).withUnsafeBytes(PrintableText.columns(of:)) <= columns })
        let titles = try #require(shown.first)
        if columns >= 30 { #expect(titles.contains("▼MSG/S")) }
        #expect(titles.contains("FORMAT") == (columns >= 50))
    }

    @Test(
        arguments: [
            (0, []), (1, ["3 more"]), (2, ["(no event)", "2 more"]), (3, ["(no event)", "(others)", "2 more"]),
        ]
            as [(Int, [String])])
    func `rows without room are counted in one line`(rows: Int, expected: [String]) {
        let shown = lines { frame().append(table, rows: rows, at: start + .seconds(5), to: &$0) }
        #expect(shown.count == rows + 1)
        #expect(zip(shown.dropFirst(), expected).allSatisfy { $0.hasPrefix($1) })
    }

    @Test func `the heading tells how the subscription is`() {
        var counts = TrafficCounts()
        func second() -> String {
            lines { frame().appendHeading(counts, at: start + .seconds(9), isLive: false, to: &$0) }[1]
        }
        #expect(second() == "waiting for Redis")
        var isFirst = counts.subscriptionChanged(.subscribed, at: start)
        #expect(isFirst)
        #expect(second() == "no messages yet")
        isFirst = counts.subscriptionChanged(
            .lost(cause: .notConnected, since: start + .seconds(4)), at: start + .seconds(5))
        #expect(!isFirst)
        let lost = "the subscription was lost once, for 5.0 s: what was published then is missing"
        #expect(second() == "Redis is away; \(lost)")
        isFirst = counts.subscriptionChanged(.subscribed, at: start + .seconds(9))
        #expect(!isFirst)
        #expect(second() == lost)
        let first = lines { frame().appendHeading(counts, at: start + .seconds(9), isLive: true, to: &$0) }
        #expect(first[0] == "0.0 messages/s, 0 B/s; 0 messages, 0 B in 9.0 s; 0 undecodable")
        #expect(first[2] == "q quits; sort: m b a x t l g n")
    }
}
