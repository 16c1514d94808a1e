import Bytes

/// A join that waits for Redis or for the router.
struct PendingJoin {
    let request: JoinRequest
    let socket: Socket
    let ackID: Int?
}

/// The pending joins of one event loop, by number: one socket may wait for several joins of the same room.
struct PendingJoins {
    private var joins: [UInt64: PendingJoin] = [:]
    private var lastNumber: UInt64 = 0

    /// - Parameter limit: the joins that may be pending for one socket.
    /// - Returns: the join's number.
    mutating func add(_ join: PendingJoin, limit: Int) throws(JoinRequest.Refusal) -> UInt64 {
        guard join.socket.pendingJoins.count < limit else { throw .tooManyPendingJoins }
        lastNumber += 1
        joins[lastNumber] = join
        join.socket.pendingJoins.append(lastNumber)
        return lastNumber
    }

    /// Removes a join; nil when it was cancelled meanwhile.
    mutating func take(_ number: UInt64) -> PendingJoin? {
        guard let join = joins.removeValue(forKey: number) else { return nil }
        if join.socket.pendingJoins.count == 1 {
            // Gives its memory back.
            join.socket.pendingJoins = []
        } else if let index = join.socket.pendingJoins.firstIndex(of: number) {
            join.socket.pendingJoins.remove(at: index)
        }
        return join
    }

    /// Removes the joins of a socket, oldest first; nil for those of all rooms.
    mutating func takeAll(of socket: Socket, room: ByteString? = nil) -> [PendingJoin] {
        let numbers = socket.pendingJoins.filter { room == nil || joins[$0]?.request.room == room }
        return numbers.compactMap { take($0) }
    }

    /// Removes the joins of a locked room, oldest first. Anybody may join a public one again at once.
    mutating func takeAll(room: ByteString, namespace: ByteString) -> [PendingJoin] {
        guard JoinRequest.roomSpace(of: room) != nil else { return [] }
        let found = joins.filter { $0.value.request.room == room && $0.value.socket.namespace.name == namespace }
        return found.keys.sorted().compactMap { take($0) }
    }
}
