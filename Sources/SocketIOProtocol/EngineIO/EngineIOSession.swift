/// The deadlines of a session. Defaults are those of python-engineio and, where it has none, of engine.io.
package struct EngineIOTiming: Sendable {
    /// Time from a client's pong (or its handshake) to the next ping.
    package var pingInterval: Duration = .seconds(25)
    /// The longest time to a client's pong.
    package var pingTimeout: Duration = .seconds(20)
    /// The longest probe of a websocket before it is dropped; engine.io's `upgradeTimeout`.
    package var upgradeTimeout: Duration = .seconds(10)
    /// The longest time without any namespace; socket.io's `connectTimeout`.
    package var connectTimeout: Duration = .seconds(45)

    package init() {}
}

/// One Engine.IO v4 session: which transport carries it, heartbeats, and the upgrade. No I/O, no clock.
///
///     polling ──websocket opens──▶ probing ──2probe──▶ probed ──5──▶ websocket
///        ▲                           │                   │
///        └──── timeout or close ─────┴───────────────────┘
///
/// Source: Engine.IO protocol v4, sections "HTTP long-polling", "Upgrade" and "Heartbeat".
package struct EngineIOSession: Sendable {
    package typealias Instant = ContinuousClock.Instant

    package enum Phase: Equatable, Sendable { case polling, probing, probed, websocket, closed }
    package enum CloseReason: Sendable, Equatable {
        case clientClosed, transportClosed, pingTimeout, invalidPacket, overlappingPolls, pollAborted
        case noNamespace, serverShutdown
        case slowClient(SlowClient)

        /// The client may come back for what it has missed. Mirrors Socket.IO's recoverable reasons; a client that ends its
        /// Engine.IO session without a DISCONNECT may, too.
        package var isRecoverable: Bool {
            switch self {
            case .clientClosed, .transportClosed, .pingTimeout, .overlappingPolls, .pollAborted, .slowClient: true
            case .invalidPacket, .noNamespace, .serverShutdown: false
            }
        }
    }

    /// The reason why a client counts as too slow.
    package enum SlowClient: Sendable, Equatable, CaseIterable {
        case queueFull, stalled, unreadAcks

        /// The reason as the page sees it; short enough for a close frame (RFC 6455, section 5.5).
        package var text: String {
            switch self {
            case .queueFull: "slow client: more waited than --max-queue allows"
            case .stalled: "slow client: nothing was taken for --stall-timeout"
            case .unreadAcks: "slow client: it asks for acks and doesn't read them"
            }
        }
    }

    package private(set) var phase: Phase
    /// A GET waits for packets.
    package private(set) var isPollWaiting = false
    private let timing: EngineIOTiming
    private var pingDue: Instant
    private var pongDue: Instant?
    private var upgradeDue: Instant?
    private var namespaceDue: Instant?

    package init(transport: EngineIORequest.Transport, timing: EngineIOTiming, at now: Instant) {
        phase = transport == .websocket ? .websocket : .polling
        self.timing = timing
        pingDue = now + timing.pingInterval
        namespaceDue = now + timing.connectTimeout
    }

    // MARK: Polling

    package enum PollAction: Equatable, Sendable {
        /// Keep the request until there are packets.
        case hold
        /// Respond with the queued packets, or with a noop if there are none.
        case respond
        case refuse(EngineIORefusal)
        /// The waiting poll gets a close packet, this one a refusal, and the session ends.
        case closeOverlapping
    }

    package mutating func pollArrived(hasQueuedPackets: Bool) -> PollAction {
        switch phase {
        case .websocket, .closed: return .refuse(.unexpectedRequest)
        case .polling, .probing, .probed: break
        }
        if isPollWaiting {
            phase = .closed
            isPollWaiting = false
            return .closeOverlapping
        }
        // The client waits for its last poll before it sends the upgrade packet.
        if hasQueuedPackets || phase == .probed { return .respond }
        isPollWaiting = true
        return .hold
    }

    /// A POST may be read.
    package var acceptsPosts: Bool { phase == .polling || phase == .probing || phase == .probed }

    package enum FlushTarget: Equatable, Sendable { case nothing, waitingPoll, webSocket }

    /// The target of queued packets. A waiting poll counts as ended from then on.
    package mutating func takeFlushTarget() -> FlushTarget {
        switch phase {
        case .websocket: return .webSocket
        case .closed: return .nothing
        case .polling, .probing, .probed:
            guard isPollWaiting else { return .nothing }
            isPollWaiting = false
            return .waitingPoll
        }
    }

    /// The connection of the waiting poll went away; engine.io ends the session then.
    package mutating func pollAborted() -> CloseReason? {
        guard isPollWaiting else { return nil }
        isPollWaiting = false
        phase = .closed
        return .pollAborted
    }

    // MARK: Upgrade

    /// A websocket asks to take over. False: it is refused and the session continues unchanged.
    package mutating func webSocketArrived(at now: Instant) -> Bool {
        guard phase == .polling else { return false }
        phase = .probing
        upgradeDue = now + timing.upgradeTimeout
        return true
    }

    /// The probing websocket went away. True: it was the session's only transport and the session ends.
    package mutating func webSocketClosed() -> Bool {
        switch phase {
        case .probing, .probed:
            phase = .polling
            upgradeDue = nil
            return false
        case .websocket:
            phase = .closed
            return true
        case .polling, .closed: return false
        }
    }

    // MARK: Packets

    package enum Action: Equatable, Sendable {
        case none
        /// A Socket.IO packet or attachment for the layer above.
        case message
        /// Send `3probe` on the websocket, and end the waiting poll, if any, with a noop.
        case confirmProbe
        /// The websocket carries the session from now on; the waiting poll, if any, ends with a noop.
        case upgraded
        /// The packet is not one of a probe: drop the websocket, keep the session.
        case dropWebSocket
        case close(CloseReason)
    }

    package mutating func received(
        _ packet: EngineIOPacket, on transport: EngineIORequest.Transport, at now: Instant
    ) -> Action {
        if transport == .websocket, phase == .probing || phase == .probed { return receivedOnProbe(packet) }
        switch packet.type {
        case .message: return .message
        case .pong:
            pongDue = nil
            pingDue = now + timing.pingInterval
            return .none
        case .close:
            phase = .closed
            return .close(.clientClosed)
        case .open, .ping, .upgrade, .noop:
            return .none
        }
    }

    private mutating func receivedOnProbe(_ packet: EngineIOPacket) -> Action {
        switch (phase, packet.type) {
        case (.probing, .ping) where !packet.isBinary && packet.payload.elementsEqual("probe".utf8):
            phase = .probed
            isPollWaiting = false
            return .confirmProbe
        case (.probed, .upgrade):
            phase = .websocket
            upgradeDue = nil
            isPollWaiting = false
            return .upgraded
        default:
            phase = .polling
            upgradeDue = nil
            return .dropWebSocket
        }
    }

    /// The client has a namespace; it may stay as long as it answers pings.
    package mutating func namespaceConnected() { namespaceDue = nil }

    package mutating func close() {
        phase = .closed
        isPollWaiting = false
    }

    // MARK: Time

    package enum TimerAction: Equatable, Sendable {
        case none, sendPing, dropWebSocket
        case close(CloseReason)
    }

    /// The action that is due at `now`, one at a time; to be called regularly.
    package mutating func timerFired(at now: Instant) -> TimerAction {
        if phase == .closed { return .none }
        if let pongDue, now >= pongDue {
            phase = .closed
            return .close(.pingTimeout)
        }
        if let namespaceDue, now >= namespaceDue {
            phase = .closed
            return .close(.noNamespace)
        }
        if let upgradeDue, now >= upgradeDue {
            self.upgradeDue = nil
            phase = .polling
            return .dropWebSocket
        }
        if pongDue == nil, now >= pingDue {
            // Counted from when the ping was due, so that a silent client is gone after interval and timeout even if the
            // clock is coarse. If the event loop was stalled, its clients still get most of the time to send a pong.
            pongDue = max(pingDue + timing.pingTimeout, now + timing.pingTimeout / 10 * 9)
            return .sendPing
        }
        return .none
    }
}
