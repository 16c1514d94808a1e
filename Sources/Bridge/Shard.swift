import Bytes
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
    // Unchecked, as in Session and its websocket: touched for each delivery, and never across a call back.
    @exclusivity(unchecked) var counters = BridgeCounters()
    private(set) var refusals = RecentRefusals()
    private let refusalLog: ClientRefusalLog
    let heartbeat: Readiness.Heartbeat?
    /// Handles client events and acks.
    private(set) var events: ClientEvents
    let router: RouterReference
    @exclusivity(unchecked) private(set) var sessions: [Session] = []
    private var sessionsBySid: [ByteString: Session] = [:]
    @exclusivity(unchecked) var touched: [Session] = []
    @exclusivity(unchecked) var lastDelivery: UInt64 = 0
    /// Nothing else will be queued before the next flush, so packets need no queue.
    @exclusivity(unchecked) var isOnlyDelivery = false
    var scratch = JSONWriter(capacity: 256)
    private var random = SystemRandomBuffer()
    /// Scratch space that joins one client's packets for one write.
    @exclusivity(unchecked) var joinedFrames = ByteBuffer()
    var timer: RepeatedTask?
    /// Sessions that the current round of deadline checks hasn't reached yet.
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

    /// Counts a refused client, and tells the log and `ws-emit explain`.
    ///
    /// - Parameter client: the client, for the log; called only when a line is written.
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

    /// Queues a packet that only this session gets.
    func enqueue(to session: Session, _ write: (inout JSONWriter) -> Void) {
        scratch.removeAll()
        write(&scratch)
        session.enqueueSolicited(scratch.withUnsafeBytes { EncodedPacket(text: $0) })
    }

    func touch(_ session: Session) { touched.append(session) }

    /// Writes the packets queued since the last flush: one write per client.
    func flush() {
        guard !touched.isEmpty else { return }
        let sessions = touched
        touched.removeAll(keepingCapacity: true)
        for session in sessions { session.flush() }
    }

    /// Calls `body` once the router knows of every room created here so far.
    func whenRoutable(_ body: @escaping () -> Void) {
        if router.isLocal(to: eventLoop) { return body() }
        let bound = NIOLoopBound((shard: self, body: body), eventLoop: eventLoop)
        router.roundTrip(to: eventLoop) {
            bound.value.body()
            bound.value.shard.flush()
        }
    }
}
