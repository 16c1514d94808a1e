/// Counts events on one event loop, as plain integers; summed over the loops on request.
package struct BridgeCounters: Sendable, Equatable {
    package var connectionsAccepted = 0
    package var connectionsRefused = 0
    package var acceptsPaused = 0
    package var originsRefused = 0
    package var bodiesTooLarge = 0
    package var requestsTimedOut = 0
    package var refusedOriginsUnnamed = 0
    package var sessionsOpened = 0
    package var sessionsClosed = 0
    package var pingTimeouts = 0
    package var invalidPackets = 0
    package var slowClientsClosed = 0
    package var packetsDroppedSlow = 0
    package var packetsDroppedClosed = 0
    package var namespacesRefused = 0
    package var joins = 0
    package var joinsRefused = 0
    package var roomLimitReached = 0
    package var pendingJoinLimitReached = 0
    package var acksForgotten = 0
    package var packetsQueued = 0
    package var gapNotices = 0
    package var unfinishedGivenUp = 0
    /// Refused requests, packets and events of clients, by cause.
    var refusals = CaseCounts<ClientRefusal.Cause>()

    package init() {}

    package static func += (left: inout BridgeCounters, right: BridgeCounters) {
        for field in fields { left[keyPath: field.path] += right[keyPath: field.path] }
        left.refusals += right.refusals
    }

    /// Names and values of the counters that aren't zero, for the log.
    package var nonZero: [(name: String, value: Int)] {
        (Self.fields.map { ($0.name, self[keyPath: $0.path]) }
            + ClientRefusal.Cause.allCases.map { ($0.label, refusals[$0]) }).filter { $0.1 != 0 }
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
            ("ping_timeouts", "Sessions closed because the client didn't answer a ping.", \.pingTimeouts),
            ("invalid_packets", "Sessions closed because of a packet that breaks the protocol.", \.invalidPackets),
            ("slow_clients_closed", "Sessions closed because of --max-queue or --stall-timeout.", \.slowClientsClosed),
            ("packets_dropped_slow", "Packets that waited for a client closed as too slow.", \.packetsDroppedSlow),
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
            ("gap_notices", "Events ws-emit:gap sent.", \.gapNotices),
        ]
    }
}
