import Bytes
import JSONCodec
import NIOCore
import PubSubMessages
import Testing

@testable import Bridge

@Suite struct PrometheusTextTests {
    @Test func `labels and help are escaped`() {
        var text = PrometheusText()
        text.family("a", .gauge, "line\nbreak \\ \"quote\"")
        text.sample("a", [("l", "x\"y\\z\n")], 1.5)
        #expect(
            text.text == """
                # HELP a line\\nbreak \\\\ "quote"
                # TYPE a gauge
                a{l="x\\"y\\\\z\\\\n"} 1.5

                """)
    }

    @Test func `senders whose ids can't be told apart are one series`() {
        var table = SenderTable(capacity: 50, now: .uptimeNanoseconds(0))
        let long = String(repeating: "\n", count: 100)
        let ids: [ByteString?] = [
            ByteString(long + "a"), ByteString(long + "b"), nil, "none", "a\n", "a\\n", "plain",
            ByteString(bytes: [0xED, 0xA0, 0x80]),
            "\\ud800",
        ]
        for id in ids { table.note(id, dialect: .pickle, byteCount: 10) }
        var numbers = Scrape.Numbers(loops: [])
        numbers.router.senders = table.entries
        var text = PrometheusText()
        let page = MetricsPage(
            numbers: numbers, readiness: Readiness(loopCount: 1, configuration: BridgeConfiguration()),
            now: .uptimeNanoseconds(0),
            milliseconds: 0)
        page.write(to: &text)
        let series = text.text.split(separator: "\n").filter { $0.hasPrefix("ws_emit_sender_messages_total{") }
        let names = series.map { $0.prefix { $0 != "}" } }
        #expect(names.count == 5 && Set(names).count == 5, "\(series)")
        #expect(series.filter { $0.hasSuffix("} 2") }.count == 4)
    }

    @Test func `a histogram counts each time in every bucket from its own on`() {
        var histogram = Histogram()
        histogram.record(0.002)
        histogram.record(700)
        var text = PrometheusText()
        text.histogram("t", "Times.", histogram)
        let lines = text.text.split(separator: "\n").map(String.init)
        #expect(lines.prefix(2) == ["# HELP t Times.", "# TYPE t histogram"])
        #expect(lines.contains("t_bucket{le=\"0.001\"} 0") && lines.contains("t_bucket{le=\"0.0025\"} 1"))
        #expect(lines.contains("t_bucket{le=\"60.0\"} 1") && lines.contains("t_bucket{le=\"+Inf\"} 2"))
        #expect(lines.contains("t_count 2") && lines.contains("t_sum 700.002"))
    }

    @Test func `each value of a label has a sample, before the first event too`() {
        let metrics = BridgeMetrics()
        metrics.emitResponded(413)
        metrics.emitResponded(413)
        metrics.emitResponded(404)
        metrics.gapEnded(.restarted, after: .milliseconds(20))
        var text = PrometheusText()
        metrics.write(to: &text)
        let lines = text.text.split(separator: "\n").map(String.init)
        #expect(lines.filter { $0.hasPrefix("ws_emit_emit_requests_total{") }.count == 5)
        #expect(lines.contains("ws_emit_emit_requests_total{status=\"413\"} 2"))
        #expect(lines.contains("ws_emit_subscription_gaps_total{cause=\"restarted\"} 1"))
        #expect(lines.contains("ws_emit_subscription_gaps_total{cause=\"killed\"} 0"))
        #expect(lines.contains("ws_emit_subscription_gap_seconds_sum 0.02"))
    }

    @Test func `every reason for a drop has a name of its own`() {
        let labels = DropReason.allCases.map(\.label)
        #expect(Set(labels).count == labels.count && labels.contains("nobody_in_room") && labels.contains("too_large"))
    }
}
