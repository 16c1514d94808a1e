import Bytes
import DequeModule
import Logging
import NIOCore
import SocketIOProtocol

/// The parts of a session's work that need more than its table: `Shard` does them, or a test.
protocol SessionHost: ConnectionHost {
    /// True if the data of a CONNECT is absent or a JSON object (authentication data, which is not used here).
    func isObjectOrEmpty(_ json: ArraySlice<UInt8>) throws(SocketIOError) -> Bool
    /// The connection that a CONNECT asks to recover; nil for a new one.
    func recoveryRequest(in json: ArraySlice<UInt8>) throws(SocketIOError) -> RecoveryRequest?
    /// Recovers a connection for a session, or connects it anew; later, as a rule.
    ///
    /// - Returns: the number of the request.
    func recover(_ request: RecoveryRequest, for session: Session, namespace: ByteString) -> UInt64
    func received(_ event: SocketIOPacket, from socket: Socket) throws(SocketIOError)
    func receivedAck(_ message: SocketIOPacketAssembler.Message, from socket: Socket) throws(SocketIOError)
    /// A socket has left its namespace.
    func disconnected(_ socket: Socket)
    /// A recovered socket that lives on another event loop than its sid names has left its namespace.
    func movedSocketEnded(sid: ByteString, pid: ByteString)
    /// Calls `body` once messages for every room created so far are routed here.
    func whenRoutable(_ body: @escaping () -> Void)
}

/// The sessions of one event loop: their rooms, their deadlines, and the packets that wait for the next flush.
final class SessionTable {
    /// A reference cycle until the host stops. A weak reference would make every retain of the host slower.
    var host: (any SessionHost)?
    let eventLoop: any EventLoop
    let configuration: BridgeConfiguration
    let logger: Logger
    let registry = RoomRegistry()
    /// Nil without recovery.
    let recoverable: RecoverableSockets?
    let pingPacket = EncodedPacket.bare(.ping)
    /// Bytes that may wait for one client.
    let queueLimit: Int
    private let loopIndex: Int
    var counters = BridgeCounters()
    private var sessions: [Session] = []
    private var sessionsBySid: [ByteString: Session] = [:]
    /// Sessions that have packets to send at the next flush.
    private var touched: [Session] = []
    /// Scratch space that joins one client's packets for one write.
    var joinedFrames = ByteBuffer()
    private var scratch = JSONWriter(capacity: 256)
    /// Polling sessions that were closed as too slow, the oldest first: their clients learn the reason at the next request.
    private var slowClients: Deque<(sid: ByteString, cause: EngineIOSession.SlowClient)> = []
    /// Sessions that the current round of deadline checks hasn't reached yet.
    private var dueForCheck = 0

    init(eventLoop: any EventLoop, loopIndex: Int, configuration: BridgeConfiguration, logger: Logger) {
        self.eventLoop = eventLoop
        self.loopIndex = loopIndex
        self.configuration = configuration
        self.logger = logger
        recoverable = configuration.recovery.map { RecoverableSockets(duration: $0) }
        queueLimit = configuration.queueLimit
    }

    var count: Int { sessions.count }

    subscript(sid: ByteString) -> Session? { sessionsBySid[sid] }

    func open(_ transport: EngineIORequest.Transport) -> Session {
        let session = Session(sid: makeSID(), table: self, transport: transport, at: .now)
        session.index = sessions.count
        sessions.append(session)
        sessionsBySid[session.sid] = session
        counters.sessionsOpened += 1
        return session
    }

    /// A session on a websocket of its own; its handshake leaves at once.
    func open(over webSocket: WebSocketConnection) -> Session? {
        let session = open(.websocket)
        guard session.attach(webSocket) else { return nil }
        session.enqueue(session.openPacket(.websocket))
        flush()
        return session
    }

    func makeSID() -> ByteString { SessionID.make(loop: loopIndex, instance: configuration.instance) }

    /// False when the session was removed before.
    func remove(_ session: Session) -> Bool {
        guard sessionsBySid.removeValue(forKey: session.sid) != nil else { return false }
        sessions.swapRemove(at: session.index)
        if session.index < sessions.count { sessions[session.index].index = session.index }
        counters.sessionsClosed += 1
        return true
    }

    /// The refusal of a request for a session that isn't here.
    func refusal(of sid: ByteString) -> EngineIORefusal {
        slowClients.first { $0.sid == sid }.map { .slowClient($0.cause) } ?? .invalidSession(sid)
    }

    func remember(_ session: Session, as cause: EngineIOSession.SlowClient) {
        if slowClients.count == BridgeLimits.rememberedSlowClients { slowClients.removeFirst() }
        slowClients.append((session.sid, cause))
    }

    // MARK: Outgoing

    /// Nothing waits for the next flush.
    var isFlushed: Bool { touched.isEmpty }

    func touch(_ session: Session) { touched.append(session) }

    /// Writes the packets queued since the last flush: one write per client.
    func flush() {
        guard !touched.isEmpty else { return }
        let sessions = touched
        touched.removeAll(keepingCapacity: true)
        for session in sessions { session.flush() }
    }

    /// A packet that only one client gets.
    func packet(_ write: (inout JSONWriter) -> Void) -> EncodedPacket {
        scratch.removeAll()
        write(&scratch)
        return unsafe scratch.withUnsafeBytes { unsafe EncodedPacket(text: $0) }
    }

    // MARK: Deadlines

    /// Starts a round of deadline checks, unless the last one is still under way.
    func checkDeadlines() {
        guard dueForCheck == 0 else { return }
        dueForCheck = sessions.count
        continueChecks()
    }

    /// Checks from the last session to the first, and lets other work run in between: thousands of pages that connected at the
    /// same moment are due for a ping at the same moment.
    private func continueChecks() {
        let end = NIODeadline.now() + BridgeLimits.socketTurn
        repeat {
            let now = EngineIOSession.Instant.now
            let rest = max(0, dueForCheck - 64)
            for index in stride(from: dueForCheck - 1, through: rest, by: -1) where index < sessions.count {
                sessions[index].timerFired(at: now)
            }
            flush()
            dueForCheck = rest
        } while dueForCheck > 0 && NIODeadline.now() < end
        guard dueForCheck > 0 else { return }
        eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1)) { self.continueChecks() }
    }

    /// Drops the parked sockets whose time is over.
    func dropExpiredSockets(at now: EngineIOSession.Instant = .now) {
        while let socket = recoverable?.expired(at: now) { socket.session.remove(socket) }
    }

    func closeAll(_ reason: EngineIOSession.CloseReason) {
        for session in sessions { session.close(reason) }
    }
}
