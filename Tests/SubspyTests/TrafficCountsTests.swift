import Bytes
import NIOCore
import PubSubMessages
import RedisPubSub
import Testing

@testable import subspy

@Suite struct TrafficCountsTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func count(_ payloads: [String], in counts: inout TrafficCounts) {
        let inspector = MessageInspector()
        for payload in payloads {
            let bytes = Array(payload.utf8)
            bytes.withUnsafeBytes { counts.count(inspector.inspect($0), bytes: $0.count) }
        }
    }

    @Test func `methods and formats are counted, the largest first`() {
        var counts = TrafficCounts()
        count(
            [
                #"{"method":"emit","event":"e","data":1,"namespace":"/"}"#, "(dS'method'\nS'emit'\nsS'event'\nS'e'\ns.",
                #"{"method":"close_room","room":"r"}"#, #"{"method":"emit","event":"e","data":[1],"binary":false}"#,
                "oops", "[]",
            ], in: &counts)
        #expect(counts.tally.messages == 6)
        #expect(counts.undecodable == 1)
        #expect(counts.methodList == "emit 3, (no method) 1, close_room 1")
        #expect(counts.formatList == "JSON: 2, JSON 5.14.0: 1, JSON 5.15.1+: 1, pickle 0: 1")
    }

    @Test func `invented methods are added up`() {
        var counts = TrafficCounts()
        count((0..<50).map { #"{"method":"m\#($0)"}"# }, in: &counts)
        #expect(counts.methodList.hasPrefix("(others) 34, "))
    }

    @Test func `a method's name is printable and short`() {
        var counts = TrafficCounts()
        count(["{\"method\":\"a\\u001b\(String(repeating: "x", count: 100))\"}"], in: &counts)
        #expect(counts.methodList == "a\\x1b\(String(repeating: "x", count: 38)) 1")
    }

    @Test func `rates begin with the first refresh`() {
        var counts = TrafficCounts()
        count(["oops"], in: &counts)
        counts.refresh(at: start)
        count(["oops", "oops"], in: &counts)
        counts.refresh(at: start + .seconds(4))
        #expect(counts.tally.messagesPerSecond == 0.5)
        #expect(counts.tally.bytesPerSecond == 2)
    }

    @Test(arguments: [
        ("messages", ["b", "c", "a"]), ("bytes", ["c", "b", "a"]), ("average", ["c", "a", "b"]),
        ("maximum", ["c", "a", "b"]),
        ("total", ["a", "b", "c"]), ("last", ["c", "b", "a"]), ("gap", ["a", "b", "c"]), ("name", ["a", "b", "c"]),
    ])
    func `a table is sorted by each column`(column: String, expected: [String]) throws {
        var table = TrafficTable(capacity: 10, at: start)
        func count(_ name: StaticString, _ bytes: Int, _ seconds: Int64) {
            table.count(
                .named(ByteString(stringLiteral: name)), bytes: bytes, .json(nil), at: start + .seconds(seconds))
        }
        for _ in 0..<5 { count("a", 100, 1) }
        table.refresh(at: start + .seconds(20))
        for second in 21...23 { count("b", 50, Int64(second)) }
        count("c", 300, 24)
        table.refresh(at: start + .seconds(30))
        let order = try #require(TrafficOrder(rawValue: column))
        let names = table.sorted(by: order, at: start + .seconds(30)).map { row in
            if case .named(let name) = row.key { name.text } else { "" }
        }
        #expect(names == expected)
    }

    @Test func `outages after the first subscription are counted with their time`() {
        var outages = Outages()
        func lost(_ seconds: Int64) -> SubscriptionState {
            .lost(cause: .notConnected, since: start + .seconds(seconds))
        }
        outages.note(lost(0), at: start)
        #expect(outages.sentence(at: start) == nil)
        outages.note(.subscribed, at: start + .seconds(1))
        outages.note(lost(10), at: start + .seconds(10))
        #expect(
            outages.sentence(at: start + .seconds(12))
                == "the subscription was lost once, for 2.0 s: what was published then is missing")
        outages.note(.subscribed, at: start + .seconds(13))
        outages.note(lost(20), at: start + .seconds(21))
        outages.note(.subscribed, at: start + .seconds(22))
        #expect(
            outages.sentence(at: start + .seconds(99))
                == "the subscription was lost 2 times, for 5.0 s: what was published then is missing")
    }
}
