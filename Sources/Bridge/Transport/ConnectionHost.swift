import Logging
import NIOCore

/// The event loop that serves a connection. `Shard` hosts the connections of browsers and backends, `AdminHost`
/// those of the listener for operators.
///
///     ListeningSocket ─▶ UnidentifiedConnection ─┬─▶ WebSocketConnection ─▶ WebSocketOwner (a session)
///     NIO's channels  ───────────────────────────┴─▶ HTTPConnection ─▶ HTTPRequestHandler
protocol ConnectionHost: AnyObject, SendableMetatype {
    var connections: ConnectionTable { get }

    /// Writes everything that was queued for clients since the last call.
    func flush()
    /// Counts and logs a request that was refused.
    ///
    /// - Parameter client: describes the client; called only if a log line is written.
    func refused(_ refusal: ClientRefusal, by client: () -> Logger.Metadata)
    /// Opens a session for a new websocket; nil if this host has no sessions.
    func openSession(over webSocket: WebSocketConnection) -> (any WebSocketOwner)?
}

extension ConnectionHost {
    var eventLoop: any EventLoop { connections.eventLoop }
    var configuration: BridgeConfiguration { connections.configuration }

    /// Asks for one more connection; counts it, and counts it as refused beyond the limit.
    func mayAccept() -> Bool {
        if !connections.total.isFull, !connections.isShuttingDown {
            connections.counters.connectionsAccepted += 1
            return true
        }
        connections.counters.connectionsRefused += 1
        if !connections.isShuttingDown, connections.total.isFirstRefusal() {
            connections.logger.warning(
                "connections beyond the limit are refused (logged once): raise --max-connections or the limit on open files",
                metadata: ["limit": "\(connections.total.limit)"])
        }
        return false
    }

    /// Serves an accepted connection, or closes it.
    func accept(_ descriptor: OwnedDescriptor, for endpoints: any HTTPRequestHandler) {
        guard let epollLoop = connections.epollLoop, mayAccept() else { return }
        do throws(IOError) {
            connections.add(
                try UnidentifiedConnection(descriptor.take(), host: self, endpoints: endpoints, epollLoop: epollLoop))
        } catch {
            connections.logger.warning("a connection can't be served", metadata: ["cause": "\(error)"])
        }
    }

    /// Counts that the listening socket stopped accepting for a while.
    func acceptsPaused(_ error: IOError) {
        connections.counters.acceptsPaused += 1
        guard connections.counters.acceptsPaused == 1 else { return }
        connections.logger.warning(
            "connections wait to be accepted (logged once): lower --max-connections or raise the limit on open files",
            metadata: ["cause": "\(error)"])
    }

    /// Reads and writes sockets without NIO from now on.
    func startEpollLoop(_ waker: EpollWaker, loopIndex: Int) throws -> EventLoopFuture<Void> {
        let epollLoop = try EpollLoop(host: self, waker: waker, loopIndex: loopIndex)
        let bound = NIOLoopBound((connections: connections, epollLoop: epollLoop), eventLoop: connections.eventLoop)
        return try epollLoop.start().map { bound.value.connections.epollLoop = bound.value.epollLoop }
    }

    /// Closes connections whose request is overdue, and lets paused sockets accept again.
    func checkConnections() {
        connections.counters.requestsTimedOut += connections.closeOverdue(at: .now())
        connections.epollLoop?.resume()
    }

    /// Notes how many bytes of an unfinished message `input` holds now. If all together exceed the limit, the connections
    /// whose messages began first are closed: an honest client finishes its message soon.
    func note(unfinishedBytes bytes: Int, of input: any UnfinishedInput) {
        guard connections.unfinished.note(bytes, of: input, total: connections.total.unfinished) else { return }
        let total = connections.total.unfinished
        for input in connections.unfinished.oldestFirst {
            guard !total.isWellBelowLimit else { break }
            connections.counters.unfinishedGivenUp += 1
            _ = connections.unfinished.note(0, of: input, total: total)
            input.giveUpUnfinished()
        }
        connections.total.mayTrimMemory()
        if total.mayLog(at: .now()) {
            connections.logger.warning(
                """
                unfinished messages of clients fill --max-unfinished: connections whose messages began first are closed \
                (logged once a minute)
                """,
                metadata: ["limit_bytes": "\(total.limit)", "closed": "\(connections.counters.unfinishedGivenUp)"])
        }
    }
}

/// The host of the operators' connections, on an event loop of its own: no sessions, no part in delivery.
final class AdminHost: ConnectionHost {
    let connections: ConnectionTable
    private let refusalLog: ClientRefusalLog

    init(_ connections: ConnectionTable) {
        self.connections = connections
        refusalLog = ClientRefusalLog(connections.configuration, logger: connections.logger)
    }

    /// Checks deadlines from now on, for as long as the event loop runs.
    func start() {
        let bound = NIOLoopBound(self, eventLoop: connections.eventLoop)
        let tick = connections.tick
        connections.eventLoop.scheduleRepeatedTask(initialDelay: tick, delay: tick) { _ in
            bound.value.checkConnections()
        }
    }

    func flush() {}

    func refused(_ refusal: ClientRefusal, by client: () -> Logger.Metadata) {
        connections.counters.refusals[refusal.cause] += 1
        _ = refusalLog.refused(refusal, by: client)
    }

    func openSession(over webSocket: WebSocketConnection) -> (any WebSocketOwner)? { nil }
}
