import Bytes
import PubSubMessages
import Testing

@testable import Bridge

@Suite struct SenderMonitorTests {
    private static func message(_ host: String, _ data: String, _ more: [String: String?] = [:]) -> String {
        ChannelHarness.message(
            ["host_id": "\"\(host)\"", "data": data, "room": #""nobody""#].merging(more) { $1 })
    }

    private static func long(_ count: Int) -> String { "[\"\(String(repeating: "x", count: count))\"]" }

    @Test func `a large message is delivered, and each sender of such is named once`() {
        let bridge = ChannelHarness { $0.maxMessageBytes = 2000 }
        for host in ["h9", "h8", "h9"] { bridge.publish(Self.message(host, Self.long(1500))) }
        #expect(bridge.counters.messagesLarge == 3 && bridge.counters.messagesForNobody == 3)
        let lines = bridge.logged.filter { $0.contains("a large message") }
        #expect(lines.count == 2 && lines[0].contains("h9") && lines[1].contains("h8"))
    }

    @Test func `a high limit doesn't put off the warning beyond a quarter of Redis's own`() {
        let bridge = ChannelHarness { $0.maxMessageBytes = 60 << 20 }
        bridge.publish(Self.message("h", Self.long(9 << 20)))
        #expect(bridge.counters.messagesLarge == 1)
    }

    @Test func `a message that is too large or broken off names its sender`() {
        let bridge = ChannelHarness { $0.maxMessageBytes = 2000 }
        let (large, broken) = (String(repeating: "c", count: 32), String(repeating: "d", count: 32))
        bridge.publish(Self.message(large, Self.long(3000)), String(Self.message(broken, "1").dropLast()))
        let senders = bridge.router.numbers().senders
        #expect(senders.map(\.hostID) == [ByteString(large), ByteString(broken)] && senders.map(\.refusals) == [1, 1])
        #expect(bridge.logged.contains { $0.contains(large) && $0.contains("2000 are allowed") })
    }

    @Test func `the log names a new sender, and each format that it shows`() {
        let bridge = ChannelHarness()
        bridge.publish(Self.message("h", "1", ["method": #""close_room""#]))
        for data in ["[1,2]", "5", "[1,2]", "\"x\""] { bridge.publish(Self.message("h", data)) }
        #expect(bridge.router.numbers().senders.first?.messages == 5)
        let dialects = bridge.logged.filter { $0.contains("dialect") }.map { line in
            ["unknown", "json-5.15.1", "json-5.14.2"].first { line.contains("\"\($0)\"") || line.contains(": \($0)") }
        }
        #expect(dialects == ["unknown", "json-5.15.1", "json-5.14.2"], "\(bridge.logged)")
    }

    @Test func `the table of senders is bounded, and says how many made room`() {
        let bridge = ChannelHarness { $0.maxSenders = 3 }
        for number in 0..<12 { bridge.publish(Self.message("h\(number)", "1")) }
        let numbers = bridge.router.numbers()
        #expect(numbers.senders.count == 3 && numbers.counters.sendersForgotten == 9)
    }

    @Test func `this server's own messages have no sender`() {
        let bridge = ChannelHarness()
        bridge.publish(Self.message("0123456789abcdef0123456789abcdef", "1"))
        #expect(bridge.router.numbers().senders.isEmpty && bridge.counters.messagesIgnored == 1)
    }
}
