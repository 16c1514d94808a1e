import NIOCore
import Synchronization

/// Metrics of rare events with labels or buckets, for every event loop. ``BridgeCounters`` and ``RouterCounters`` count per
/// message.
package final class BridgeMetrics: Sendable {
    private struct Values {
        var canaryRoundTrip = Histogram()
        var gapDuration = Histogram()
        var gaps = Dictionary(uniqueKeysWithValues: SubscriptionGap.Cause.allCases.map { ($0.rawValue, 0) })
        /// Responses to `POST /emit` by HTTP status.
        var emitResponses: [UInt: Int] = [200: 0, 400: 0, 403: 0, 413: 0, 415: 0]
    }

    private let values = Mutex(Values())

    package init() {}

    func canaryReturned(after time: TimeAmount) {
        values.withLock { $0.canaryRoundTrip.record(time.seconds) }
    }

    func gapEnded(_ cause: SubscriptionGap.Cause, after time: TimeAmount) {
        values.withLock {
            $0.gaps[cause.rawValue]? += 1
            $0.gapDuration.record(time.seconds)
        }
    }

    func emitResponded(_ status: UInt) { values.withLock { $0.emitResponses[status]? += 1 } }

    func write(to text: inout PrometheusText) {
        let values = values.withLock { $0 }
        text.histogram(
            "ws_emit_canary_round_trip_seconds",
            "Time of a message to ourselves through Redis, the decoder and a room lookup on every event loop.",
            values.canaryRoundTrip)
        text.histogram(
            "ws_emit_subscription_gap_seconds", "Length of the times in which messages may have been missed.",
            values.gapDuration)
        text.counters(
            "ws_emit_subscription_gaps_total", "Times in which messages may have been missed, by cause.",
            label: "cause", values.gaps.sorted { $0.key < $1.key })
        text.counters(
            "ws_emit_emit_requests_total", "Responses to POST /emit, by HTTP status.", label: "status",
            values.emitResponses.sorted { $0.key < $1.key }.map { (key: "\($0.key)", value: $0.value) })
    }
}

/// Counts times below fixed bounds in seconds; from half a millisecond, a round trip on one machine, to a minute.
struct Histogram: Sendable {
    static let bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
    private(set) var counts = [Int](repeating: 0, count: bounds.count)
    private(set) var sum = 0.0
    private(set) var count = 0

    mutating func record(_ seconds: Double) {
        if let index = Self.bounds.firstIndex(where: { seconds <= $0 }) { counts[index] += 1 }
        sum += seconds
        count += 1
    }
}
