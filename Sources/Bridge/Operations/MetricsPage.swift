import Bytes
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
        writeKept(to: &text)
        writeSenders(to: &text)
        writeRedis(to: &text)
    }

    private func writeReadiness(to text: inout PrometheusText) {
        let state = readiness.current
        text.single(
            "ws_emit_ready", .gauge, "1 when /readyz responds 200.", readiness.reasons(at: now).isEmpty ? 1 : 0)
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
        let (total, router) = (numbers.total, numbers.router.counters)
        total.counters.write(to: &text)
        router.write(to: &text)
        let gauges = [
            ("event_loops", "Event loops.", numbers.loops.count),
            ("connections", "Open TCP connections of clients.", total.connections),
            ("sessions", "Open Engine.IO sessions.", total.sessions),
            ("sockets", "Connected Socket.IO sockets: namespaces of sessions.", total.sockets),
            ("rooms", "Rooms with members; one with members on two event loops counts twice.", total.rooms),
            ("senders", "Senders in the table.", numbers.router.senders.count),
            ("parked_sockets", "Sockets whose clients are away and may come back.", total.parked),
            (
                "recovery_log_bytes", "Bytes of the events kept for clients that come back.",
                numbers.router.recoveryLogBytes
            ),
        ]
        for (name, help, value) in gauges { text.single("ws_emit_" + name, .gauge, help, Double(value)) }
        text.counters(
            "ws_emit_messages_dropped_total", "Messages of the channel that reached no client here.", label: "reason",
            router.drops.labelled)
        text.counters(
            "ws_emit_recoveries_total", "Attempts of clients to recover a connection, by result.", label: "result",
            router.recoveries.labelled)
        text.counters(
            "ws_emit_emits_total", "Emits read from the channel, by format.", label: "dialect", router.emits.labelled)
        text.counters(
            "ws_emit_client_refusals_total",
            "Refused requests, packets and events of clients, by cause; logged once a minute.", label: "cause",
            total.counters.refusals.labelled)
        text.counters(
            "ws_emit_packets_dropped_slow_total",
            "Packets that a slow client didn't get: it was closed (disconnect), newer ones had no room (drop-oldest), or a newer"
                + " one took their place (latest).",
            label: "policy", total.counters.packetsDroppedSlow.labelled)
    }

    private func writeKept(to text: inout PrometheusText) {
        let kept = numbers.router.kept
        text.single("ws_emit_kept_values", .gauge, "Messages kept for clients that join.", Double(kept.values))
        text.single("ws_emit_kept_rooms", .gauge, "Rooms with kept messages.", Double(kept.rooms))
        text.single("ws_emit_kept_bytes", .gauge, "Memory of kept messages.", Double(kept.bytes))
        text.counters(
            "ws_emit_kept_dropped_total", "Messages not kept, or no longer.", label: "reason",
            [
                ("evicted", kept.counters.evicted), ("expired", kept.counters.expired),
                ("too_large", kept.counters.tooLarge), ("without_key", kept.counters.withoutKey),
            ])
    }

    private func writeSenders(to text: inout PrometheusText) {
        let shown = Self.senders(of: numbers.router.senders)
        family("messages_total", .counter, "Messages of the busiest senders.", shown, to: &text) { Double($0.messages) }
        family("bytes_total", .counter, "Bytes of their messages.", shown, to: &text) { Double($0.bytes) }
        family("refusals_total", .counter, "Their unusable messages.", shown, to: &text) { Double($0.refusals) }
        family("corrected_total", .counter, "Their messages with mistakes, taken as intended.", shown, to: &text) {
            Double($0.corrected)
        }
        family("messages_per_second", .gauge, "Their rate in the last seconds.", shown, to: &text) { $0.rate }
        family("last_seen_timestamp_seconds", .gauge, "When they were last heard, to some seconds.", shown, to: &text) {
            let ago = max(0, (now - $0.lastSeen).nanoseconds / 1_000_000)
            return Double(milliseconds - ago) / 1000
        }
    }

    private typealias ShownSender = (labels: [(String, String)], entry: SenderTable.Entry)

    /// The busiest senders. Senders with the same labels (their ids are equal once made printable) are added up: Prometheus
    /// refuses a whole scrape that has the same series twice.
    private static func senders(of entries: [SenderTable.Entry]) -> [ShownSender] {
        let byLabels = Dictionary(
            entries.map { ([$0.hostID?.description ?? "none", $0.dialect?.label ?? "unknown"], $0) },
            uniquingKeysWith: { $0.adding($1) })
        return byLabels.sorted { ($1.value.messages, $0.key[0]) < ($0.value.messages, $1.key[0]) }
            .prefix(BridgeLimits.shownSenders)
            .map { ([("host_id", $0.key[0]), ("dialect", $0.key[1])], $0.value) }
    }

    private func family(
        _ name: String, _ kind: PrometheusText.Kind, _ help: String, _ senders: [ShownSender],
        to text: inout PrometheusText, value: (SenderTable.Entry) -> Double
    ) {
        let name = "ws_emit_sender_" + name
        text.family(name, kind, help)
        for (labels, entry) in senders { text.sample(name, labels, value(entry)) }
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
            ("expired_commands", "Commands without a reply in time.", redis.expiredCommands),
            ("refused_commands", "Commands not sent: no connection, or too many were waiting.", redis.refusedCommands),
            ("oversize_replies", "Connections dropped because of a reply over the limit.", redis.oversizeReplies),
            ("malformed_replies", "Connections dropped because the peer speaks no RESP.", redis.malformedReplies),
            ("silent_peers", "Connections dropped because a PING got no reply.", redis.silentPeers),
            ("output_buffer_losses", "Losses that were Redis's limit for waiting output.", redis.outputBufferLosses),
            ("failovers", "Times that the sentinels named another master.", redis.failovers),
            ("redirects", "Reads that another node of the cluster had to serve.", redis.redirects),
        ]
        for (name, help, value) in fields {
            text.single("ws_emit_redis_\(name)_total", .counter, help, Double(value))
        }
    }
}
