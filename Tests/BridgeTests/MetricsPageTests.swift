import Bytes
import Foundation
import NIOCore
import PubSubMessages
import RedisPubSub
import Testing

@testable import Bridge

@Suite struct MetricsPageTests {
    /// The page of a bridge that has counted something.
    private static func page(_ bridge: ChannelHarness) -> String {
        var numbers = Scrape.Numbers(loops: bridge.shards.map(\.numbers))
        numbers.router = bridge.router.numbers()
        var text = PrometheusText()
        MetricsPage(numbers: numbers, readiness: bridge.readiness, now: .now(), milliseconds: 1_700_000_000_000)
            .write(to: &text)
        BridgeMetrics().write(to: &text)
        return text.text
    }

    private static func value(_ name: String, in page: String) -> String? {
        page.split(separator: "\n").first { $0.hasPrefix(name + " ") }.map { String($0.dropFirst(name.count + 1)) }
    }

    @Test func `every family has one HELP, one TYPE and samples, and no label is a room`() {
        let bridge = ChannelHarness()
        _ = bridge.client(in: "a-room-of-mine")
        bridge.publish(ChannelHarness.message(["room": #""a-room-of-mine""#]))
        let lines = Self.page(bridge).split(separator: "\n").map(String.init)
        let names = lines.filter { $0.hasPrefix("# TYPE ") }.map { String($0.split(separator: " ")[2]) }
        #expect(names.count > 50 && Set(names).count == names.count)
        for name in names {
            #expect(name.hasPrefix("ws_emit_"))
            #expect(lines.contains { $0.hasPrefix("# HELP \(name) ") && $0.count > name.count + 16 }, "\(name)")
        }
        let labels = Set(
            lines.filter { !$0.hasPrefix("#") && $0.contains("{") }.flatMap { line in
                line.split(separator: "{")[1].split(separator: ",").map { String($0.prefix { $0 != "=" }) }
            })
        #expect(labels == ["reason", "dialect", "cause", "policy", "host_id", "status", "le", "result"])
        #expect(!lines.contains { $0.contains("a-room-of-mine") })
    }

    @Test func `clients, rooms and joins are counted over all event loops`() {
        let bridge = ChannelHarness(loopCount: 2)
        for loop in [0, 0, 1] { _ = bridge.client(loop: loop, in: "r") }
        let page = Self.page(bridge)
        for (name, expected) in [
            ("sockets", "3"), ("sessions", "3"), ("rooms", "2"), ("event_loops", "2"), ("joins_total", "3"),
            ("sessions_opened_total", "3"),
        ] {
            #expect(Self.value("ws_emit_" + name, in: page) == expected, "\(name)")
        }
    }

    @Test func `the counters of publisher, canaries and secrets are on the page`() {
        let bridge = ChannelHarness { $0.canaryInterval = .seconds(5) }
        let page = Self.page(bridge)
        #expect(Self.value("ws_emit_canaries_sent_total", in: page) == "1")
        #expect(Self.value("ws_emit_publish_failures_total", in: page) == "0")
    }

    @Test func `the documentation names every metric and every value of a label`() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
        let text = try String(contentsOf: root.appendingPathComponent("docs/operating.md"), encoding: .utf8)
        let page = Self.page(ChannelHarness())
        let names =
            page.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map { String($0.split(separator: " ")[2]) }
        let families = names.map { name in
            String((name.hasSuffix("_total") ? name.dropLast("_total".count) : name[...]).dropFirst("ws_emit_".count))
        }
        for family in families {
            #expect(text.contains(family) || text.contains("…" + family.dropFirst("redis".count)), "\(family)")
        }
        let values =
            DropReason.allCases.map(\.label) + ClientRefusal.Cause.allCases.map(\.label)
            + SubscriptionGap.Cause.allCases.map(\.rawValue)
        for value in values { #expect(text.contains("`\(value)`"), "\(value)") }
    }
}
