import Bytes
import NIOCore
import PubSubMessages
import Testing

@testable import Bridge

@Suite struct SenderTableTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private static func host(_ number: Int) -> ByteString { ByteString("host\(number)") }

    @Test func `messages, bytes, refusals and the dialect are each sender's own`() {
        var table = SenderTable(capacity: 8, now: Self.start)
        let news = [
            table.note("a", dialect: .pickle, byteCount: 10), table.note("a", dialect: nil, byteCount: 5),
            table.note(nil, dialect: .json5_15_1, byteCount: 1),
        ]
        #expect(news == [.sender, nil, .sender])
        table.noteRefusal("a", "why", byteCount: 3)
        let (a, unnamed) = (table.entries[0], table.entries[1])
        #expect(a.messages == 3 && a.bytes == 18 && a.refusals == 1 && a.lastRefusal == "why" && a.dialect == .pickle)
        #expect(unnamed.hostID == nil && unnamed.messages == 1)
    }

    @Test func `each form that a sender shows is told once`() {
        var table = SenderTable(capacity: 8, now: Self.start)
        let forms: [Dialect?] = [nil, .json5_15_1, .json5_14_2, .json5_15_1, nil, .json5_14_2]
        let news = forms.map { table.note("a", dialect: $0, byteCount: 1) }
        #expect(news == [.sender, .dialect, .dialect, nil, nil, nil])
    }

    @Test func `a message that was counted before it was refused counts once`() {
        var table = SenderTable(capacity: 8, now: Self.start)
        table.note("a", dialect: .pickle, byteCount: 10)
        table.noteRefusal("a", "why", byteCount: nil)
        let a = table.entries[0]
        #expect(a.messages == 1 && a.bytes == 10 && a.refusals == 1 && a.lastRefusal == "why")
    }

    @Test func `lists are written for older releases while no other server emits`() {
        var table = SenderTable(capacity: 8, now: Self.start)
        table.note(HostID.random(), dialect: .json5_14_0, byteCount: 1)
        table.note("silent", dialect: nil, byteCount: 1)
        #expect(!table.areAllBefore5_15_1)
        // It was taken for a newer one until it had shown itself.
        for dialect in [Dialect.json5_15_1, .json5_14_2] { table.note("a", dialect: dialect, byteCount: 1) }
        table.note(nil, dialect: .pickle, byteCount: 1)
        #expect(table.areAllBefore5_15_1)
        table.note("b", dialect: .json5_15_1, byteCount: 1)
        #expect(!table.areAllBefore5_15_1)
    }

    @Test func `mistakes are each sender's own, and each message counts once`() {
        var table = SenderTable(capacity: 8, now: Self.start)
        var mistakes = SenderMistakes()
        for mistake in [SenderMistake.skipSIDEmpty, .byteOrderMark] {
            mistakes.insert(mistake)
            table.note("a", dialect: nil, byteCount: 1)
            table.noteMistakes("a", mistakes)
        }
        table.note("b", dialect: nil, byteCount: 1)
        let (a, b) = (table.entries[0], table.entries[1])
        #expect(a.messages == 2 && a.corrected == 2 && a.mistakes.all == [.skipSIDEmpty, .byteOrderMark])
        #expect(b.corrected == 0 && b.mistakes.isEmpty)
    }

    @Test func `the rate is that of the time since the last tick`() {
        var table = SenderTable(capacity: 8, now: Self.start)
        for _ in 0..<20 { table.note("a", dialect: nil, byteCount: 1) }
        table.tick(at: Self.start + .seconds(4))
        #expect(table.entries[0].rate == 5 && table.entries[0].lastSeen == Self.start + .seconds(4))
        table.tick(at: Self.start + .seconds(8))
        #expect(table.entries[0].rate == 0 && table.entries[0].lastSeen == Self.start + .seconds(4))
    }

    @Test func `it is bounded, and a busy sender outlives quiet ones`() {
        var table = SenderTable(capacity: 4, now: Self.start)
        for number in 0..<1000 {
            table.note("busy", dialect: nil, byteCount: 1)
            table.note(Self.host(number), dialect: nil, byteCount: 1)
        }
        #expect(table.entries.count == 4)
        #expect(table.entries.contains { $0.hostID == "busy" && $0.messages == 1000 })
        #expect(table.forgotten == 1001 - 4)
    }
}
