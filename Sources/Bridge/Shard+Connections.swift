import Glibc
import NIOCore
import SocketIOProtocol

/// The connections and timers of one event loop.
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

    /// Whether one more connection may be opened. Counts the connection as accepted or refused.
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
        guard let selector, mayAccept() else {
            close(descriptor)
            return
        }
        do throws(IOError) {
            let greeting = try Greeting(descriptor, shard: self, endpoints: endpoints, selector: selector)
            greeting.index = greetings.count
            greetings.append(greeting)
        } catch {
            logger.warning("a connection can't be served", metadata: ["cause": "\(error)"])
        }
    }

    func remove(_ greeting: Greeting) {
        guard greeting.index < greetings.count, greetings[greeting.index] === greeting else { return }
        greetings.swapRemove(at: greeting.index)
        if greeting.index < greetings.count { greetings[greeting.index].index = greeting.index }
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
        for greeting in greetings where greeting.closeIfOverdue(at: deadline) { counters.requestsTimedOut += 1 }
        selector?.resume()
        events.giveMemoryBack()
        flush()
    }

    /// Checks the deadlines of sessions, from the last to the first, and lets other work run in between: thousands of pages that
    /// connected at the same moment are due for a ping at the same moment.
    private func checkSessions() {
        let end = NIODeadline.now() + SocketSelector.turnLimit
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
        for greeting in greetings { greeting.close() }
    }

    /// Stops without waiting for the remaining clients.
    func stop() {
        stopSelector()
        events.shard = nil
    }

    func stopSelector() {
        selector?.stop()
        selector = nil
    }
}
