import Bytes
import Logging
import NIOCore
import PubSubMessages
import SocketIOProtocol

/// One event loop's share of the server: its connections, sessions and rooms. Everything here stays on that loop.
final class Shard: SessionHost {
    let loopIndex: Int
    let connections: ConnectionTable
    let sessions: SessionTable
    let registry: RoomRegistry
    let router: RouterReference
    /// Handles client events and acks.
    private(set) var events: ClientEvents
    private(set) var refusals = RecentRefusals()
    private let refusalLog: ClientRefusalLog
    private let heartbeat: Readiness.Heartbeat?
    private var timer: RepeatedTask?
    var lastDelivery: UInt64 = 0
    /// Nothing else will be queued before the next flush, so packets need no queue.
    var isOnlyDelivery = false
    var scratch = JSONWriter(capacity: 256)

    init(
        eventLoop: any EventLoop, loopIndex: Int, configuration: BridgeConfiguration, router: RouterReference,
        allConnections: OpenConnections, heartbeat: Readiness.Heartbeat? = nil, refusalLog: ClientRefusalLog? = nil,
        logger: Logger
    ) {
        self.refusalLog = refusalLog ?? ClientRefusalLog(configuration, logger: logger)
        connections = ConnectionTable(
            eventLoop: eventLoop, configuration: configuration, total: allConnections, logger: logger)
        sessions = SessionTable(
            eventLoop: eventLoop, loopIndex: loopIndex, configuration: configuration, logger: logger)
        registry = sessions.registry
        self.heartbeat = heartbeat
        self.loopIndex = loopIndex
        self.router = router
        events = ClientEvents(
            eventLoop: eventLoop, loopIndex: loopIndex, configuration: configuration, router: router, logger: logger)
    }

    func start() {
        events.shard = self
        sessions.host = self
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

    /// The counters of connections and sessions together.
    var counters: BridgeCounters {
        var sum = connections.counters
        sum += sessions.counters
        return sum
    }

    private func timerFired() {
        heartbeat?.beat()
        sessions.checkDeadlines()
        checkConnections()
        events.giveMemoryBack()
        flush()
    }

    /// Tells every client that the server stops, without waiting for any.
    func shutdown() {
        timer?.cancel()
        sessions.closeAll(.serverShutdown)
        connections.shutdown()
    }

    /// Stops without waiting for the remaining clients.
    func stop() {
        connections.stopEpollLoop()
        events.shard = nil
        sessions.host = nil
    }

    // MARK: The host of connections

    func flush() { sessions.flush() }

    /// Counts a refused client, and tells the log and `ws-emit explain`.
    ///
    /// - Parameter client: the client, for the log; called only when a line is written.
    func refused(_ refusal: ClientRefusal, by client: () -> Logger.Metadata) {
        connections.counters.refusals[refusal.cause] += 1
        refusals.note(refusal)
        if refusalLog.refused(refusal, by: client) { connections.counters.refusedOriginsUnnamed += 1 }
    }

    func openSession(over webSocket: WebSocketConnection) -> (any WebSocketOwner)? { sessions.open(over: webSocket) }

    // MARK: The host of sessions

    func isObjectOrEmpty(_ json: ArraySlice<UInt8>) throws(SocketIOError) -> Bool { try events.isObjectOrEmpty(json) }

    func received(_ event: SocketIOPacket, from socket: Socket) throws(SocketIOError) {
        try events.received(event, from: socket)
    }

    func receivedAck(_ message: SocketIOPacketAssembler.Message, from socket: Socket) throws(SocketIOError) {
        try events.receivedAck(message, from: socket)
    }

    func disconnected(_ socket: Socket) { events.cancelJoins(of: socket) }

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
