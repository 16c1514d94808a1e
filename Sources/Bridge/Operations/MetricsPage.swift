import NIOCore
import PubSubMessages
import RedisPubSub

/// The text of `/metrics`. Labels have fixed values, except for a bounded number of senders; no label is ever a room or a client.
struct MetricsPage {
    let numbers: Scrape.Numbers
    let readiness: Readiness
    let now: NIODeadline
    /// Milliseconds since 1970, at `now`.
    let milliseconds: Int64

    func write(to text: inout PrometheusText) {
        writeReadiness(to: &text)
        writeCounts(to: &text)
        writeDrops(to: &text)
        writeClientRefusals(to: &text)
        writeSenders(to: &text)
        writeRedis(to: &text)
    }

    private func writeReadiness(to text: inout PrometheusText) {
        let state = readiness.current
        text.single(
            "ws_emit_ready", .gauge, "1 when /readyz answers 200.", readiness.reasons(at: now).isEmpty ? 1 : 0)
        text.single("ws_emit_subscribed", .gauge, "1 while the channels are subscribed.", state.isSubscribed ? 1 : 0)
        text.family("ws_emit_canary_age_seconds", .gauge, "Age of the last message to ourselves that went all the way.")
        if let age = readiness.canaryAge(state, at: now) { text.sample("ws_emit_canary_age_seconds", [], age) }
        text.single(
            "ws_emit_stuck_loops", .gauge, "Event loops that have not run for 30 seconds.",
            Double(readiness.stuckLoops(at: now).count))
        text.single(
            "ws_emit_scrape_missing_loops", .gauge,
            "Event loops that didn't reply to this scrape: their numbers are old.",
            Double(numbers.missing))
    }

    private func writeCounts(to text: inout PrometheusText) {
        let total = numbers.total
        for field in BridgeCounters.fields {
            text.single(
                "ws_emit_\(field.name)_total", .counter, field.help, Double(total.counters[keyPath: field.path]))
        }
        for field in RouterCounters.fields {
            text.single(
                "ws_emit_\(field.name)_total", .counter, field.help,
                Double(numbers.router.counters[keyPath: field.path]))
        }
        text.single("ws_emit_event_loops", .gauge, "Event loops.", Double(numbers.loops.count))
        text.single("ws_emit_connections", .gauge, "Open TCP connections of clients.", Double(total.connections))
        text.single("ws_emit_sessions", .gauge, "Open Engine.IO sessions.", Double(total.sessions))
        text.single(
            "ws_emit_sockets", .gauge, "Connected Socket.IO sockets: namespaces of sessions.", Double(total.sockets))
        text.single(
            "ws_emit_rooms", .gauge, "Rooms with members; one with members on two event loops counts twice.",
            Double(total.rooms))
    }

    private func writeDrops(to text: inout PrometheusText) {
        text.family("ws_emit_messages_dropped_total", .counter, "Messages of the channel that reached no client here.")
        for reason in DropReason.allCases {
            text.sample(
                "ws_emit_messages_dropped_total", [("reason", reason.label)],
                Double(numbers.router.counters.drops[reason]))
        }
        text.family("ws_emit_emits_total", .counter, "Emits read from the channel, by format.")
        for dialect in Dialect.allCases {
            text.sample(
                "ws_emit_emits_total", [("dialect", dialect.label)], Double(numbers.router.counters.emits(dialect)))
        }
    }

    private func writeClientRefusals(to text: inout PrometheusText) {
        let name = "ws_emit_client_refusals_total"
        text.family(
            name, .counter, "Refused requests, packets and events of clients, by cause; logged once a minute.")
        let refusals = numbers.total.counters.refusals
        for cause in ClientRefusal.Cause.allCases {
            text.sample(name, [("cause", cause.label)], Double(refusals[cause]))
        }
    }

    private func writeSenders(to text: inout PrometheusText) {
        let router = numbers.router
        text.single("ws_emit_senders", .gauge, "Senders in the table.", Double(router.senders.count))
        text.single(
            "ws_emit_senders_forgotten_total", .counter,
            "Senders that made room for others: --max-senders was reached.",
            Double(router.sendersForgotten))
        text.single(
            "ws_emit_explanations_forgotten_total", .counter,
            "Times that the record of explained refusals was full and began anew.", Double(router.refusalsForgotten))
        text.single(
            "ws_emit_gaps_forgotten_total", .counter, "Gaps no longer in the history: --max-gaps was reached.",
            Double(router.gapsForgotten))
        let shown = Self.senders(of: router.senders)
        family("messages_total", .counter, "Messages of the busiest senders.", shown, to: &text) { Double($0.messages) }
        family("bytes_total", .counter, "Bytes of their messages.", shown, to: &text) { Double($0.bytes) }
        family("refusals_total", .counter, "Their unusable messages.", shown, to: &text) {
            Double($0.refusals)
        }
        family("corrected_total", .counter, "Their messages with mistakes, delivered as intended.", shown, to: &text) {
            Double($0.corrected)
        }
        family("messages_per_second", .gauge, "Their rate in the last seconds.", shown, to: &text) { $0.rate }
        family("last_seen_timestamp_seconds", .gauge, "When they were last heard, to some seconds.", shown, to: &text) {
            let ago = max(0, (now - $0.lastSeen).nanoseconds / 1_000_000)
            return Double(milliseconds - ago) / 1000
        }
    }

    /// The labels of a sender's samples.
    private struct SenderLabels: Hashable {
        let hostID: String
        let dialect: String
    }

    /// The busiest senders. Senders with the same labels (their ids are equal once made printable) are added up: Prometheus
    /// refuses a whole scrape that has the same series twice.
    private static func senders(of entries: [SenderTable.Entry]) -> [(labels: SenderLabels, entry: SenderTable.Entry)] {
        let byLabels = Dictionary(
            entries.map { entry in
                (
                    SenderLabels(
                        hostID: entry.hostID?.description ?? "none", dialect: entry.dialect?.label ?? "unknown"), entry
                )
            }, uniquingKeysWith: { $0.adding($1) })
        return byLabels.map { (labels: $0.key, entry: $0.value) }.sorted {
            ($1.entry.messages, $0.labels.hostID) < ($0.entry.messages, $1.labels.hostID)
        }.prefix(BridgeLimits.shownSenders).map(\.self)
    }

    private func family(
        _ name: String, _ kind: PrometheusText.Kind, _ help: String,
        _ senders: [(labels: SenderLabels, entry: SenderTable.Entry)],
        to text: inout PrometheusText, value: (SenderTable.Entry) -> Double
    ) {
        let name = "ws_emit_sender_" + name
        text.family(name, kind, help)
        for (labels, entry) in senders {
            text.sample(name, [("host_id", labels.hostID), ("dialect", labels.dialect)], value(entry))
        }
    }

    private func writeRedis(to text: inout PrometheusText) {
        let redis = numbers.router.redis
        let fields = [
            ("messages", "Published messages that Redis brought.", redis.messages),
            ("message_bytes", "Bytes of their payloads.", redis.messageBytes),
            ("subscriptions", "Times the subscription was established, the first included.", redis.subscriptions),
            ("losses", "Times it was lost.", redis.losses),
            ("connection_attempts", "Attempts to connect, two connections together.", redis.connectionAttempts),
            ("failed_attempts", "Attempts that failed.", redis.failedAttempts),
            ("commands", "PUBLISH and GET sent.", redis.commands),
            ("expired_commands", "Commands not answered in time.", redis.expiredCommands),
            ("refused_commands", "Commands not sent: no connection, or too many were waiting.", redis.refusedCommands),
            ("oversize_replies", "Connections dropped because of a reply over the limit.", redis.oversizeReplies),
            ("malformed_replies", "Connections dropped because the peer speaks no RESP.", redis.malformedReplies),
            ("silent_peers", "Connections dropped because a PING was not answered.", redis.silentPeers),
            ("output_buffer_losses", "Losses that were Redis's limit for waiting output.", redis.outputBufferLosses),
            ("failovers", "Times that the sentinels named another master.", redis.failovers),
            ("redirects", "Reads that another node of the cluster had to answer.", redis.redirects),
        ]
        for (name, help, value) in fields {
            text.single("ws_emit_redis_\(name)_total", .counter, help, Double(value))
        }
    }
}
