/// What happened on one event loop, as plain integers; summed over the loops when somebody asks.
package struct BridgeCounters: Sendable, Equatable {
    package var connectionsAccepted = 0
    package var connectionsRefused = 0
    package var requestsTimedOut = 0
    package var sessionsOpened = 0
    package var sessionsClosed = 0
    package var pingTimeouts = 0
    package var invalidPackets = 0
    package var slowClientsClosed = 0
    package var joins = 0
    package var joinsRefused = 0
    package var roomLimitReached = 0
    package var acksForgotten = 0
    package var packetsQueued = 0

    package init() {}

    package static func += (left: inout BridgeCounters, right: BridgeCounters) {
        for (_, path) in fields { left[keyPath: path] += right[keyPath: path] }
    }

    /// Name and value of each counter that isn't zero, for the log.
    package var nonZero: [(name: String, value: Int)] {
        Self.fields.map { ($0, self[keyPath: $1]) }.filter { $0.1 != 0 }
    }

    private static var fields: [(String, WritableKeyPath<BridgeCounters, Int>)] {
        [
            ("connections_accepted", \.connectionsAccepted), ("connections_refused", \.connectionsRefused),
            ("requests_timed_out", \.requestsTimedOut), ("sessions_opened", \.sessionsOpened),
            ("sessions_closed", \.sessionsClosed), ("ping_timeouts", \.pingTimeouts),
            ("invalid_packets", \.invalidPackets), ("slow_clients_closed", \.slowClientsClosed),
            ("joins", \.joins), ("joins_refused", \.joinsRefused), ("room_limit_reached", \.roomLimitReached),
            ("acks_forgotten", \.acksForgotten), ("packets_queued", \.packetsQueued),
        ]
    }
}
