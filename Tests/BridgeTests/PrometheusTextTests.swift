import Bytes
import CoreMetrics
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

    @Test func `metrics of swift-metrics become counters, gauges and histograms`() {
        let metrics = PrometheusMetrics(help: ["c": "Counted."])
        Counter(label: "c", dimensions: [("k", "1")], factory: metrics).increment(by: 2)
        Counter(label: "c", dimensions: [("k", "2")], factory: metrics).increment()
        Counter(label: "c", dimensions: [("k", "1")], factory: metrics).increment()
        Gauge(label: "g", dimensions: [], factory: metrics).record(2.5)
        let timer = Timer(label: "t", dimensions: [], factory: metrics)
        timer.recordNanoseconds(2_000_000)
        timer.recordNanoseconds(700_000_000_000)
        var text = PrometheusText()
        metrics.write(to: &text)
        let lines = text.text.split(separator: "\n").map(String.init)
        #expect(lines.prefix(4) == ["# HELP c Counted.", "# TYPE c counter", "c{k=\"1\"} 3", "c{k=\"2\"} 1"])
        #expect(lines.contains("g 2.5") && lines.contains("# TYPE t histogram"))
        #expect(lines.contains("t_bucket{le=\"0.001\"} 0") && lines.contains("t_bucket{le=\"0.0025\"} 1"))
        #expect(lines.contains("t_bucket{le=\"60.0\"} 1") && lines.contains("t_bucket{le=\"+Inf\"} 2"))
        #expect(lines.contains("t_count 2") && lines.contains("t_sum 700.002"))
    }

    @Test func `a label that is in use for another kind does no harm`() {
        let metrics = PrometheusMetrics()
        Counter(label: "x", dimensions: [], factory: metrics).increment()
        Timer(label: "x", dimensions: [], factory: metrics).recordNanoseconds(1)
        var text = PrometheusText()
        metrics.write(to: &text)
        #expect(text.text == "# HELP x x\n# TYPE x counter\nx 1\n")
    }

    @Test func `every reason for a drop has a name of its own`() {
        let labels = DropReason.allCases.map(\.label)
        #expect(Set(labels).count == labels.count && labels.contains("nobody_in_room") && labels.contains("too_large"))
    }
}
