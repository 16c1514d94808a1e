import Glibc
import NIOCore
import SocketIOProtocol

/// The connections of one event loop, and what happens by time.
extension Shard {
    /// Counts an accepted or adopted connection until it closes.
    func connectionOpened(_ channel: any Channel) {
        connectionOpened()
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.connectionClosed() }
    }

    func connectionOpened() {
        openConnections += 1
        allConnections.opened()
    }

    func connectionClosed() {
        openConnections -= 1
        allConnections.closed()
        if openConnections == 0 { allClosed?.succeed() }
    }

    /// Whether one more connection may be opened; counted either way.
    func mayAccept() -> Bool {
        if !allConnections.isFull, !isShuttingDown {
            counters.connectionsAccepted += 1
            return true
        }
        counters.connectionsRefused += 1
        if counters.connectionsRefused == 1, !isShuttingDown {
            logger.warning(
                "connections beyond the limit are refused (said once): raise --max-connections or the limit on open files",
                metadata: ["limit": "\(allConnections.limit)"])
        }
        return false
    }

    /// Takes an accepted connection over.
    func accepted(_ descriptor: CInt, for endpoints: HTTPEndpoints) {
        guard let epollLoop, mayAccept() else {
            close(descriptor)
            return
        }
        do throws(IOError) {
            let connection = try UnidentifiedConnection(descriptor, shard: self, endpoints: endpoints, epollLoop: epollLoop)
            connection.index = unidentified.count
            unidentified.append(connection)
        } catch {
            logger.warning("a connection can't be served", metadata: ["cause": "\(error)"])
        }
    }

    func remove(_ connection: UnidentifiedConnection) {
        guard connection.index < unidentified.count, unidentified[connection.index] === connection else { return }
        unidentified.swapRemove(at: connection.index)
        if connection.index < unidentified.count { unidentified[connection.index].index = connection.index }
    }

    func acceptsPaused(_ error: IOError) {
        counters.acceptsPaused += 1
        guard counters.acceptsPaused == 1 else { return }
        logger.warning(
            "connections wait to be accepted (said once): lower --max-connections or raise the limit on open files",
            metadata: ["cause": "\(error)"])
    }

    /// Succeeds the promise when no connection is open.
    func whenAllClosed(_ promise: EventLoopPromise<Void>) {
        if openConnections == 0 { promise.succeed() } else { allClosed = promise }
    }

    func add(_ connection: HTTPConnection) {
        connection.index = connections.count
        connections.append(connection)
    }

    func remove(_ connection: HTTPConnection) {
        guard connection.index < connections.count, connections[connection.index] === connection else { return }
        connections.swapRemove(at: connection.index)
        if connection.index < connections.count { connections[connection.index].index = connection.index }
    }

    /// Lets a connection send its answers at the end of this turn of the event loop.
    func flushLater(_ connection: HTTPConnection) {
        answering.append(connection)
        guard answering.count == 1 else { return }
        eventLoop.assumeIsolated().execute { [self] in
            let connections = answering
            answering.removeAll(keepingCapacity: true)
            for connection in connections { connection.flush() }
        }
    }

    func timerFired() {
        heartbeat?.beat()
        if sessionsToCheck == 0 {
            sessionsToCheck = sessions.count
            checkSessions()
        }
        let deadline = NIODeadline.now()
        for index in stride(from: connections.count - 1, through: 0, by: -1) where index < connections.count {
            if connections[index].closeIfOverdue(at: deadline) { counters.requestsTimedOut += 1 }
        }
        for connection in unidentified where connection.closeIfOverdue(at: deadline) { counters.requestsTimedOut += 1 }
        epollLoop?.resume()
        events.giveMemoryBack()
        flush()
    }

    /// Looks at the sessions' deadlines, from the last to the first, for no longer than others may wait. Thousands of pages that
    /// connected in the same moment are due for a ping in the same moment.
    private func checkSessions() {
        let end = NIODeadline.now() + EpollLoop.turnLimit
        repeat {
            let now = EngineIOSession.Instant.now
            let rest = max(0, sessionsToCheck - 64)
            for index in stride(from: sessionsToCheck - 1, through: rest, by: -1) where index < sessions.count {
                sessions[index].timerFired(at: now)
            }
            flush()
            sessionsToCheck = rest
        } while sessionsToCheck > 0 && NIODeadline.now() < end
        guard sessionsToCheck > 0 else { return }
        eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1)) { self.checkSessions() }
    }

    /// Tells every client, and waits for none.
    func shutdown() {
        isShuttingDown = true
        timer?.cancel()
        for session in sessions { session.close(.serverShutdown) }
        for connection in connections { connection.closeWhenIdle() }
        for connection in unidentified { connection.close() }
    }

    /// Leaves the clients that are still there.
    func stop() {
        stopEpollLoop()
        events.shard = nil
    }

    func stopEpollLoop() {
        epollLoop?.stop()
        epollLoop = nil
    }
}
