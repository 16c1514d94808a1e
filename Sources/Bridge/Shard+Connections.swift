import NIOCore
import SocketIOProtocol

/// Deadlines of sessions, and the end.
extension Shard {
    func timerFired() {
        heartbeat?.beat()
        if sessionsToCheck == 0 {
            sessionsToCheck = sessions.count
            checkSessions()
        }
        checkConnections()
        events.giveMemoryBack()
        flush()
    }

    /// Checks the deadlines of sessions, from the last to the first, and lets other work run in between: thousands of pages that
    /// connected at the same moment are due for a ping at the same moment.
    private func checkSessions() {
        let end = NIODeadline.now() + BridgeLimits.socketTurn
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

    /// Tells every client that the server stops, without waiting for any.
    func shutdown() {
        timer?.cancel()
        for session in sessions { session.close(.serverShutdown) }
        connections.shutdown()
    }

    /// Stops without waiting for the remaining clients.
    func stop() {
        connections.stopEpollLoop()
        events.shard = nil
    }
}
