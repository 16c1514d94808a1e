import Bytes
import NIOCore
import PubSubMessages
import Testing

@testable import subspy

@Suite struct TrafficTableTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func key(_ name: StaticString) -> TrafficTable.Key { .named(ByteString(stringLiteral: name)) }

    @Test func `rates are those since the last refresh, totals those since the start`() {
        var table = TrafficTable(capacity: 10, at: start)
        for _ in 0..<10 { table.count(key("a"), bytes: 100, .pickle(protocolVersion: 4), at: start) }
        table.refresh(at: start + .seconds(2))
        #expect(table.rows[0].tally.messagesPerSecond == 5)
        #expect(table.rows[0].tally.bytesPerSecond == 500)
        table.count(key("a"), bytes: 400, .json(nil), at: start + .seconds(3))
        table.refresh(at: start + .seconds(4))
        #expect(table.rows[0].tally.messagesPerSecond == 0.5)
        #expect(table.rows[0].tally.messages == 11)
        #expect(table.rows[0].maximumBytes == 400)
        #expect(table.rows[0].averageBytes == 127)
        #expect(table.rows[0].formats == [.pickle(protocolVersion: 4), .json(nil)])
    }

    @Test func `the gap is the longest time without a message, the present one included`() {
        var table = TrafficTable(capacity: 10, at: start)
        table.count(key("a"), bytes: 1, .json(nil), at: start)
        table.count(key("a"), bytes: 1, .json(nil), at: start + .seconds(5))
        table.count(key("a"), bytes: 1, .json(nil), at: start + .seconds(6))
        #expect(table.rows[0].gap(at: start + .seconds(7)) == .seconds(5))
        #expect(table.rows[0].gap(at: start + .seconds(20)) == .seconds(14))
    }

    @Test func `a full table adds up the rest as others`() {
        var table = TrafficTable(capacity: 2, at: start)
        for name: StaticString in ["a", "b", "c", "d", "a"] { table.count(key(name), bytes: 7, .json(nil), at: start) }
        #expect(table.rows.map(\.key) == [key("a"), key("b")])
        #expect(table.rows[0].tally.messages == 2)
        #expect(table.others?.tally.messages == 2)
        #expect(table.others?.tally.bytes == 14)
    }

    @Test func `a full table gives up rows that were quiet for a minute, and loses no count`() {
        var table = TrafficTable(capacity: 2, at: start)
        table.count(key("old"), bytes: 5, .json(nil), at: start)
        table.count(key("new"), bytes: 5, .json(nil), at: start + .seconds(50))
        table.refresh(at: start + .seconds(60))
        #expect(table.rows.count == 2)
        table.refresh(at: start + .seconds(61))
        #expect(table.rows.map(\.key) == [key("new")])
        #expect(table.others?.tally.messages == 1)
        // What was counted long ago is no rate of now.
        table.refresh(at: start + .seconds(62))
        #expect(table.others?.tally.messagesPerSecond == 0)
        table.count(key("old"), bytes: 5, .json(nil), at: start + .seconds(63))
        table.count(key("new"), bytes: 5, .json(nil), at: start + .seconds(63))
        #expect(table.rows.map(\.tally.messages) == [2, 1])
    }

    @Test func `a table with room keeps quiet rows`() {
        var table = TrafficTable(capacity: 2, at: start)
        table.count(key("old"), bytes: 5, .json(nil), at: start)
        table.refresh(at: start + .hours(1))
        #expect(table.rows.count == 1)
    }
}
