import JSONCodec
import Logging
import NIOCore
import PubSubMessages
import SocketIOProtocol

/// One event loop's share of the server: its sessions, its rooms, its timers. Everything here stays on that loop.
final class Shard: ConnectionHost {
    let eventLoop: any EventLoop
    let loopIndex: Int
    let configuration: BridgeConfiguration
    let registry = RoomRegistry()
    let logger: Logger
    let allocator = ByteBufferAllocator()
    let pingPacket = EncodedPacket.bare(.ping)
    /// Bytes that may wait for one client.
    let queueLimit: Int
    // Unchecked, these and those of a session and its websocket: touched for each delivery, nowhere across a call back.
    @exclusivity(unchecked) var counters = BridgeCounters()
    private(set) var refusals = RecentRefusals()
    private let refusalLog: ClientRefusalLog
    let heartbeat: Readiness.Heartbeat?
    /// Client events and acks; set once by the server, which knows the router.
    private(set) var events: ClientEvents
    private let router: RouterReference
    @exclusivity(unchecked) private(set) var sessions: [Session] = []
    private var sessionsBySid: [ByteString: Session] = [:]
    @exclusivity(unchecked) private var touched: [Session] = []
    @exclusivity(unchecked) private var lastDelivery: UInt64 = 0
    /// Nothing else will be queued before the next flush, so packets need no queue.
    @exclusivity(unchecked) private var isOnlyDelivery = false
    private var scratch = JSONWriter(capacity: 256)
    private var random = SystemRandomBuffer()
    /// Where a client's packets are joined for one write.
    @exclusivity(unchecked) var joinedFrames = ByteBuffer()
    var timer: RepeatedTask?
    /// How many the current look at deadlines has still to go.
    var sessionsToCheck = 0
    let connections: ConnectionTable

    init(
        eventLoop: any EventLoop, loopIndex: Int, configuration: BridgeConfiguration, router: RouterReference,
        allConnections: OpenConnections, heartbeat: Readiness.Heartbeat? = nil, refusalLog: ClientRefusalLog? = nil,
        logger: Logger
    ) {
        self.refusalLog = refusalLog ?? ClientRefusalLog(configuration, logger: logger)
        connections = ConnectionTable(
            eventLoop: eventLoop, configuration: configuration, total: allConnections, logger: logger)
        self.heartbeat = heartbeat
        self.eventLoop = eventLoop
        self.loopIndex = loopIndex
        self.configuration = configuration
        self.router = router
        self.logger = logger
        queueLimit = configuration.maxQueuedBytes ?? 2 * configuration.maxMessageBytes
        events = ClientEvents(eventLoop: eventLoop, configuration: configuration, router: router, logger: logger)
    }

    func start() {
        events.shard = self
        if !router.isLocal(to: eventLoop) {
            registry.changed = { [router, loopIndex] change in
                router.roomChanged(
                    namespace: change.namespace, room: change.room, isAlive: change.isAlive, loop: loopIndex)
            }
        }
        let tick = connections.tick
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleRepeatedTask(initialDelay: tick, delay: tick) { _ in bound.value.timerFired() }
    }

    /// Counts what a client asked for and didn't get, and has the log and `ws-emit explain` tell of it.
    ///
    /// - Parameter client: who it was, asked only when there is a line to write.
    func refused(_ refusal: ClientRefusal, by client: () -> Logger.Metadata = { [:] }) {
        counters.refusals[refusal.cause] += 1
        refusals.note(refusal)
        if refusalLog.refused(refusal, by: client) { counters.refusedOriginsUnnamed += 1 }
    }

    // MARK: Sessions

    func openSession(transport: EngineIORequest.Transport) -> Session {
        let session = Session(
            sid: makeSID(), shard: self, transport: transport, at: .now)
        session.index = sessions.count
        sessions.append(session)
        sessionsBySid[session.sid] = session
        counters.sessionsOpened += 1
        return session
    }

    /// A session on a websocket of its own; its handshake leaves at once.
    func openSession(over webSocket: WebSocketConnection) -> (any WebSocketOwner)? {
        let session = openSession(transport: .websocket)
        guard session.attach(webSocket) else { return nil }
        session.enqueue(openPacket(of: session, transport: .websocket))
        flush()
        return session
    }

    func openPacket(of session: Session, transport: EngineIORequest.Transport) -> EncodedPacket {
        let text = EngineIOHandshake.openPacket(
            sid: session.sid, transport: transport, timing: configuration.timing, maxPayload: configuration.maxPayload)
        return text.withUnsafeBytes { EncodedPacket(text: $0) }
    }

    func makeSID() -> ByteString {
        SessionID.make(loop: loopIndex, instance: configuration.instance, using: &random)
    }

    var sessionCount: Int { sessions.count }

    func session(_ sid: ByteString) -> Session? { sessionsBySid[sid] }

    /// False when the session was removed before.
    func remove(_ session: Session) -> Bool {
        guard sessionsBySid.removeValue(forKey: session.sid) != nil else { return false }
        sessions.swapRemove(at: session.index)
        if session.index < sessions.count { sessions[session.index].index = session.index }
        counters.sessionsClosed += 1
        return true
    }

    // MARK: Delivery

    /// Carries out what one batch of messages asks of this loop, then writes to each client once.
    func perform(_ commands: [ShardCommand]) {
        isOnlyDelivery = commands.count == 1 && touched.isEmpty
        for command in commands { perform(command) }
        isOnlyDelivery = false
        flush()
    }

    /// Carries out one command; a flush must follow.
    func perform(_ command: ShardCommand) {
        switch command {
        case .deliver(let delivery): deliver(delivery)
        case .disconnect(let sid, let namespace):
            guard let socket = socket(sid, in: namespace) else { return }
            let session = socket.session
            session.remove(socket)
            enqueue(to: session) { SocketIOPacketWriter.writeDisconnect(namespace: namespace, to: &$0) }
        case .enterRoom(let sid, let room, let namespace):
            if let socket = socket(sid, in: namespace) { registry.enter(socket, room: room) }
            router.enterPerformed(namespace: namespace, room: room, loop: loopIndex)
        case .leaveRoom(let sid, let room, let namespace):
            guard let socket = socket(sid, in: namespace) else { return }
            events.cancelJoins(of: socket, room: room)
            registry.leave(socket, room: room)
        case .closeRoom(let room, let namespace):
            events.cancelJoins(room: room, namespace: namespace)
            registry.close(room: room, namespace: namespace)
        case .canary(let id): if registry.findsItsRooms() { router.canaryReached(id, loop: loopIndex) }
        case .tellOfGap(let body): tellOfGap(body)
        }
    }

    private func socket(_ sid: ByteString, in namespace: ByteString) -> Socket? {
        registry.namespaces[namespace]?.sockets[sid]
    }

    /// - Parameter isLast: a flush follows at once.
    func deliver(_ delivery: Delivery, isLast: Bool) {
        isOnlyDelivery = isLast && touched.isEmpty
        deliver(delivery)
        isOnlyDelivery = false
    }

    private func deliver(_ delivery: Delivery) {
        guard let namespace = registry.namespaces[delivery.namespace] else { return }
        switch delivery.rooms {
        case .everyone:
            deliver(delivery, toMembersOf: namespace.everyone)
        case .these(let names):
            // A list reaches each socket once, whichever of its rooms comes first.
            lastDelivery += 1
            let isList = names.count > 1
            for name in names {
                if let room = namespace.rooms[name] {
                    // A room that has a sid's name, too, is rare.
                    let once = isList || namespace.socket(named: name) != nil
                    deliver(delivery, toMembersOf: room, once: once)
                }
                if let socket = namespace.socket(named: name) {
                    deliver(delivery, to: socket, socket.session, once: isList || namespace.rooms[name] != nil)
                }
            }
        }
    }

    private func deliver(_ delivery: Delivery, toMembersOf room: Room, once: Bool = false) {
        // Queueing can close a slow client, which takes it out of the room under our hands.
        var index = 0
        while index < room.members.count {
            let (socket, session) = (room.members[index].socket, room.members[index].session)
            deliver(delivery, to: socket, session, once: once)
            if index < room.members.count, room.members[index].socket === socket { index += 1 }
        }
    }

    private func deliver(_ delivery: Delivery, to socket: Socket, _ session: Session, once: Bool) {
        if once {
            if socket.lastDelivery == lastDelivery { return }
            socket.lastDelivery = lastDelivery
        }
        if !delivery.skip.isEmpty, delivery.skip.contains(socket.sid) { return }
        switch delivery.content {
        case .packet(let packet):
            if isOnlyDelivery { session.send(packet) } else { session.enqueue(packet) }
        case .expectingAck(let body, let address):
            let (id, forgotOne) = socket.expectAck(for: address, limit: configuration.maxPendingAcks)
            if forgotOne { counters.acksForgotten += 1 }
            session.enqueue(packet(of: body, namespace: delivery.namespace, ackID: id))
        }
    }

    private func packet(of body: EventBody, namespace: ByteString, ackID: Int? = nil) -> EncodedPacket {
        body.withEncodedEvent {
            PacketBuilder($0, namespace: namespace, ackID: ackID, scratch: &scratch).build()
        }
    }

    /// One look at each socket of this loop, after an outage.
    private func tellOfGap(_ body: EventBody) {
        for namespace in registry.namespaces.values {
            var packet: EncodedPacket?
            for socket in namespace.sockets.values where socket.wantsGaps {
                let shared = packet ?? self.packet(of: body, namespace: namespace.name)
                packet = shared
                counters.gapNotices += 1
                socket.session.enqueue(shared)
            }
        }
    }

    /// Queues a packet that only this session gets.
    func enqueue(to session: Session, _ write: (inout JSONWriter) -> Void) {
        scratch.removeAll()
        write(&scratch)
        session.enqueueSolicited(scratch.withUnsafeBytes { EncodedPacket(text: $0) })
    }

    func touch(_ session: Session) { touched.append(session) }

    /// Writes what was queued since the last time: one write per client.
    func flush() {
        guard !touched.isEmpty else { return }
        let sessions = touched
        touched.removeAll(keepingCapacity: true)
        for session in sessions { session.flush() }
    }

    /// Calls `body` when the router has heard of every room that came to life here before.
    func whenRoutable(_ body: @escaping () -> Void) {
        if router.isLocal(to: eventLoop) { return body() }
        let bound = NIOLoopBound((shard: self, body: body), eventLoop: eventLoop)
        router.roundTrip(to: eventLoop) {
            bound.value.body()
            bound.value.shard.flush()
        }
    }
}
