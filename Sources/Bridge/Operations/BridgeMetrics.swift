import CoreMetrics

/// Metrics of rare events, through swift-metrics. ``BridgeCounters`` and ``RouterCounters`` count per message.
package struct BridgeMetrics: Sendable {
    let canaryRoundTrip: CoreMetrics.Timer
    let gapDuration: CoreMetrics.Timer
    private let gapsByCause: [SubscriptionGap.Cause: CoreMetrics.Counter]
    private let emitResponses: [UInt: CoreMetrics.Counter]

    /// The meaning of each name, for a factory that writes HELP lines.
    package static let help = [
        "ws_emit_canary_round_trip_seconds":
            "Time of a message to ourselves through Redis, the decoder and a room lookup on every event loop.",
        "ws_emit_subscription_gap_seconds": "Length of the times in which messages may have been missed.",
        "ws_emit_subscription_gaps_total": "Times in which messages may have been missed, by cause.",
        "ws_emit_emit_requests_total": "Responses to POST /emit, by HTTP status.",
    ]

    package init(factory: any MetricsFactory) {
        canaryRoundTrip = Timer(label: "ws_emit_canary_round_trip_seconds", dimensions: [], factory: factory)
        gapDuration = Timer(label: "ws_emit_subscription_gap_seconds", dimensions: [], factory: factory)
        gapsByCause = Dictionary(
            uniqueKeysWithValues: SubscriptionGap.Cause.allCases.map { cause in
                let dimensions = [("cause", cause.rawValue)]
                return (
                    cause, Counter(label: "ws_emit_subscription_gaps_total", dimensions: dimensions, factory: factory)
                )
            })
        emitResponses = Dictionary(
            uniqueKeysWithValues: [200, 400, 403, 413, 415].map { (status: UInt) in
                let dimensions = [("status", "\(status)")]
                return (status, Counter(label: "ws_emit_emit_requests_total", dimensions: dimensions, factory: factory))
            })
    }

    func gapEnded(_ cause: SubscriptionGap.Cause) { gapsByCause[cause]?.increment() }

    func emitResponded(_ status: UInt) { emitResponses[status]?.increment() }
}
