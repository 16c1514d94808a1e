/// Counts events on one event loop, as plain integers; summed over the loops on request.
struct BridgeCounters: CounterTable, Sendable, Equatable {
    var connectionsAccepted = 0
    var connectionsRefused = 0
    var acceptsPaused = 0
    var originsRefused = 0
    var bodiesTooLarge = 0
    var requestsTimedOut = 0
    var refusedOriginsUnnamed = 0
    var sessionsOpened = 0
    var sessionsClosed = 0
    var pingTimeouts = 0
    var invalidPackets = 0
    var slowClientsClosed = 0
    var packetsDroppedClosed = 0
    var namespacesRefused = 0
    var joins = 0
    var joinsRefused = 0
    var roomLimitReached = 0
    var pendingJoinLimitReached = 0
    var acksForgotten = 0
    var packetsQueued = 0
    var gapNotices = 0
    var parkedGivenUp = 0
    var keptGiven = 0
    var unfinishedGivenUp = 0
    /// Packets that a client got too late to get, by their policy.
    var packetsDroppedSlow = CaseCounts<SlowClientPolicy>()
    /// Refused requests, packets and events of clients, by cause.
    var refusals = CaseCounts<ClientRefusal.Cause>()

    static func += (left: inout BridgeCounters, right: BridgeCounters) {
        for field in fields { left[keyPath: field.path] += right[keyPath: field.path] }
        left.packetsDroppedSlow += right.packetsDroppedSlow
        left.refusals += right.refusals
    }

    /// Name, help text and key path of each counter.
    static var fields: [(name: String, help: String, path: WritableKeyPath<BridgeCounters, Int>)] {
        [
            ("connections_accepted", "TCP connections accepted.", \.connectionsAccepted),
            ("connections_refused", "Connections closed at once: --max-connections was reached.", \.connectionsRefused),
            (
                "accepts_paused", "Times that connections had to wait: the process had no descriptor or memory left.",
                \.acceptsPaused
            ),
            ("origins_refused", "Requests from pages whose origin --cors doesn't name.", \.originsRefused),
            (
                "refused_origins_unnamed", "Refused origins that the log didn't name: too many within a minute.",
                \.refusedOriginsUnnamed
            ),
            ("bodies_too_large", "Requests refused with 413: --max-payload or --max-emit-body.", \.bodiesTooLarge),
            ("requests_timed_out", "Connections closed while a head or a body took too long.", \.requestsTimedOut),
            ("sessions_opened", "Engine.IO sessions opened.", \.sessionsOpened),
            ("sessions_closed", "Engine.IO sessions closed.", \.sessionsClosed),
            ("ping_timeouts", "Sessions closed because no pong came from the client.", \.pingTimeouts),
            ("invalid_packets", "Sessions closed because of a packet that breaks the protocol.", \.invalidPackets),
            ("slow_clients_closed", "Sessions closed because of --max-queue or --stall-timeout.", \.slowClientsClosed),
            ("packets_dropped_closed", "Packets that waited when their session closed.", \.packetsDroppedClosed),
            ("namespaces_refused", "CONNECTs refused: --namespace, --max-namespaces.", \.namespacesRefused),
            ("joins", "Rooms joined.", \.joins),
            ("joins_refused", "Joins refused, for any reason.", \.joinsRefused),
            ("room_limit_reached", "Joins refused because --max-rooms was reached.", \.roomLimitReached),
            ("pending_join_limit_reached", "Joins refused: too many wait for Redis.", \.pendingJoinLimitReached),
            ("acks_forgotten", "Owed acks given up because --max-pending-acks was reached.", \.acksForgotten),
            ("packets_queued", "Packets queued for clients.", \.packetsQueued),
            (
                "unfinished_given_up", "Connections closed in the middle of a message: --max-unfinished was reached.",
                \.unfinishedGivenUp
            ),
            ("parked_given_up", "Sockets not kept for recovery any longer: too many were away.", \.parkedGivenUp),
            ("gap_notices", "Events ws-emit:gap sent.", \.gapNotices),
            ("kept_given", "Kept messages given to clients that joined, or after a gap.", \.keptGiven),
        ]
    }
}

/// Counters that `/metrics` lists and the last line of the log sums up.
protocol CounterTable {
    /// Name, help text and key path of each counter.
    static var fields: [(name: String, help: String, path: WritableKeyPath<Self, Int>)] { get }
}

extension CounterTable {
    /// Names and values of the counters that aren't zero, for the log.
    var nonZero: [(key: String, value: Int)] {
        Self.fields.map { ($0.name, self[keyPath: $0.path]) }.filter { $0.1 != 0 }
    }

    func write(to text: inout PrometheusText) {
        for field in Self.fields {
            text.single("ws_emit_\(field.name)_total", .counter, field.help, Double(self[keyPath: field.path]))
        }
    }
}
