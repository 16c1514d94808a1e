import Bytes
import SocketIOProtocol

/// Recovery of connections on one event loop: gives the state of a socket away, and takes a recovered one.
extension Shard {
    func recoveryRequest(in json: ArraySlice<UInt8>) throws(SocketIOError) -> RecoveryRequest? {
        try events.recoveryRequest(in: json)
    }

    func recover(_ request: RecoveryRequest, for session: Session, namespace: ByteString) -> UInt64 {
        lastRecovery += 1
        pendingRecoveries[lastRecovery] = session
        router.recover(request, namespace: namespace, number: lastRecovery, loop: loopIndex)
        return lastRecovery
    }

    func movedSocketEnded(sid: ByteString, pid: ByteString) {
        router.movedSocketEnded(sid: sid, pid: pid, loop: loopIndex)
    }

    // MARK: The event loop that has the socket

    /// Parks the socket of a pid, unless it is parked already, and says what is needed to restore it elsewhere. After a change of
    /// the network the old connection still looks alive; it ends here.
    func takeOver(_ pid: ByteString, namespace: ByteString) -> Result<RecoverableSocket, RecoveryResult> {
        guard let socket = sessions.recoverable?[pid], let state = socket.recovery else { return .failure(.unknownPid) }
        guard socket.namespace.name == namespace else { return .failure(.otherNamespace) }
        guard !state.isRequested else { return .failure(.busy) }
        socket.session.close(.transportClosed)
        guard socket.isParked else { return .failure(.disconnected) }
        state.isRequested = true
        let rooms = socket.memberships.lazy.map(\.room).filter { $0 !== socket.namespace.everyone }
        return .success(
            RecoverableSocket(
                sid: socket.sid, pid: pid, namespace: namespace, start: state.start,
                confirmed: max(state.start, socket.session.recovery?.confirmedPosition ?? .none),
                completeSince: state.completeSince,
                rooms: rooms.map { ($0.name, state.since[$0.name] ?? state.start) },
                formerRooms: state.formerRooms, wantsGaps: socket.wantsGaps, secrets: state.secrets,
                owedAcks: socket.owedAcks))
    }

    func dropParked(_ pid: ByteString) {
        guard let socket = sessions.recoverable?[pid] else { return }
        // The router knows.
        socket.recovery?.isMoved = false
        socket.session.remove(socket)
    }

    // MARK: The event loop of the session that asks

    func recoveryRefused(_ number: UInt64) {
        guard let (session, namespace) = takePending(number) else { return }
        if !session.isClosed { session.connect(to: namespace) }
        flush()
    }

    /// The session and the namespace of a request; nil if the client has left the namespace meanwhile.
    private func takePending(_ number: UInt64) -> (Session, ByteString)? {
        guard let session = pendingRecoveries.removeValue(forKey: number),
            let recovery = session.recovery, let index = recovery.pending.firstIndex(where: { $0.number == number })
        else { return nil }
        return (session, recovery.pending.remove(at: index).namespace)
    }

    /// Connects a recovered socket; a flush must follow.
    func restore(_ restored: RestoredSocket) {
        let recovered = restored.socket
        let names = recovered.rooms.map(\.name)
        defer { router.restorePerformed(namespace: recovered.namespace, rooms: names, loop: loopIndex) }
        guard let (session, _) = takePending(restored.number) else {
            return movedSocketEnded(sid: recovered.sid, pid: recovered.pid)
        }
        let socket = registry.connect(session, to: recovered.namespace, sid: recovered.sid)
        let state = RecoveryState(pid: recovered.pid, start: recovered.start)
        state.formerRooms = recovered.formerRooms
        state.completeSince = recovered.completeSince
        state.secrets = recovered.secrets
        state.isMoved = SessionID.loop(of: recovered.sid, loopCount: router.loopCount) != loopIndex
        socket.recovery = state
        socket.wantsGaps = recovered.wantsGaps
        socket.owedAcks = recovered.owedAcks
        for room in recovered.rooms {
            registry.enter(socket, room: room.name)
            state.since[room.name] = room.since
        }
        session.sockets.append(socket)
        sessions.recoverable?.add(socket)
        session.recovery?.restored(after: restored.offset)
        guard !session.isClosed else {
            if let recoverable = sessions.recoverable { session.park(socket, in: recoverable) }
            return
        }
        session.enqueueSolicited {
            SocketIOPacketWriter.writeConnect(
                namespace: recovered.namespace, sid: recovered.sid, pid: recovered.pid, to: &$0)
        }
        for packet in restored.missed { session.enqueue(packet) }
    }
}
