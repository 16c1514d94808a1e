import Bytes
import NIOCore
import PubSubMessages

/// Recovery of connections: finds the socket of a pid on its event loop, and gives it with what its client has missed to the event
/// loop of the client's new session.
///
///     CONNECT ─▶ loop k ─▶ router ─▶ loop j: park, state ─▶ router: secrets, log ─▶ loop k: restore
///                                                                             └───▶ loop j: drop
extension Router {
    /// The position of the last event.
    var position: RecoveryOffset { recovery?.log.last ?? .none }

    /// - Parameters:
    ///   - number: the request's number on its event loop.
    ///   - loop: the event loop of the session that asks.
    func recover(_ request: RecoveryRequest, namespace: ByteString, number: UInt64, loop: Int) {
        guard let recovery, let firstCommand = recovery.begin() else {
            return refuseRecovery(.busy, number: number, loop: loop)
        }
        guard let owner = rooms.owner(of: request.pid) else {
            recovery.end()
            return refuseRecovery(.unknownPid, number: number, loop: loop)
        }
        let shard = shards[owner]
        shard.eventLoop.submit { shard.value.takeOver(request.pid, namespace: namespace) }.hop(to: eventLoop)
            .assumeIsolated().whenSuccess { result in
                switch result {
                case .success(let socket):
                    self.readSecrets(of: socket).assumeIsolated().whenComplete { opened in
                        self.finishRecovery(
                            request, of: socket, opened, firstCommand: firstCommand, number: number, loop: loop)
                    }
                case .failure(let reason):
                    recovery.end()
                    self.refuseRecovery(reason, number: number, loop: loop)
                }
            }
    }

    /// Reads the secrets of the room-spaces that a socket has entered by a secret.
    ///
    /// - Returns: the room-spaces whose secret still opens them.
    private func readSecrets(of socket: RecoverableSocket) -> EventLoopFuture<Set<ByteString>> {
        let names = socket.rooms.map(\.name) + socket.formerRooms.map(\.name)
        let spaces = Set(names.compactMap { JoinRequest.roomSpace(of: $0) })
            .filter { socket.secrets[$0] != nil }
        if spaces.isEmpty { return eventLoop.makeSucceededFuture([]) }
        let reads = spaces.map { space in
            secrets.secrets(of: space).flatMapThrowing { (space, try $0.usable()) }
        }
        return EventLoopFuture.whenAllSucceed(reads, on: eventLoop).map { values in
            Set(
                values.filter { space, secrets in
                    socket.secrets[space].map { RoomSecrets.opens(secrets, with: $0) } ?? false
                }.map(\.0))
        }
    }

    private func finishRecovery(
        _ request: RecoveryRequest, of socket: RecoverableSocket, _ opened: Result<Set<ByteString>, any Error>,
        firstCommand: Int, number: UInt64, loop: Int
    ) {
        guard let recovery else { return }
        do throws(RecoveryResult) {
            defer { recovery.end() }
            guard case .success(let opened) = opened else { throw .secretUnavailable }
            var socket = socket
            let secrets = socket.secrets
            func isShut(_ room: ByteString) -> Bool {
                guard let space = JoinRequest.roomSpace(of: room) else { return false }
                return secrets[space] != nil && !opened.contains(space)
            }
            try recovery.update(&socket, from: firstCommand)
            // Also those that a backend has closed: their last messages may be for those with the new secret.
            socket.rooms.removeAll { isShut($0.name) }
            socket.formerRooms.removeAll { isShut($0.name) }
            outbox.flushPending()
            let restored = try restoredSocket(socket, request, recovery, number: number)
            unsafe counters.recoveries[.recovered] += 1
            rooms.add(1, namespace: socket.namespace, rooms: socket.rooms.map(\.name), loop: loop)
            if let owner = rooms.owner(of: socket.pid) { outbox.append(.dropParked(pid: socket.pid), loop: owner) }
            for name in [socket.sid, socket.pid] {
                rooms.moved[name] = SessionID.loop(of: name, loopCount: loopCount) == loop ? nil : loop
            }
            outbox.append(.restore(restored), loop: loop)
            outbox.flush()
        } catch {
            if let owner = rooms.owner(of: socket.pid) {
                outbox.append(.dropParked(pid: socket.pid), loop: owner)
                outbox.flush()
            }
            refuseRecovery(error, number: number, loop: loop)
        }
    }

    private func restoredSocket(
        _ socket: RecoverableSocket, _ request: RecoveryRequest, _ recovery: RouterRecovery, number: UInt64
    ) throws(RecoveryResult) -> RestoredSocket {
        let offset: RecoveryOffset
        switch request.offset {
        case .none: offset = socket.start
        // The client has got its last event from another process, and none on this connection.
        case .event(let event) where !event.isOf(configuration.instance): offset = socket.start
        case .event(let event) where event <= position: offset = max(event, socket.start)
        case .event, .unknown: throw .unknownOffset
        }
        let known = max(offset, socket.confirmed)
        guard !gaps.isUnderWay, known >= recovery.gap else { throw .subscriptionGap }
        guard known >= socket.completeSince,
            let missed = recovery.log.missed(by: socket, after: offset, confirmed: socket.confirmed),
            missed.reduce(0, { $0 + $1.byteCount }) <= configuration.queueLimit / 2
        else { throw .logTooShort }
        return RestoredSocket(number: number, socket: socket, offset: offset, missed: missed)
    }

    private func refuseRecovery(_ reason: RecoveryResult, number: UInt64, loop: Int) {
        unsafe counters.recoveries[reason] += 1
        let shard = shards[loop]
        shard.eventLoop.execute { shard.value.recoveryRefused(number) }
    }
}
