import Bytes

/// A join that waits for Redis or for the router.
struct PendingJoin {
    let request: JoinRequest
    let socket: Socket
    let ackID: Int?
    fileprivate var isCancelled = false

    init(request: JoinRequest, socket: Socket, ackID: Int?) {
        self.request = request
        self.socket = socket
        self.ackID = ackID
    }
}

/// The pending joins of one event loop, by number: one socket may wait for several joins of the same room.
struct PendingJoins {
    private var joins: [UInt64: PendingJoin] = [:]
    private var lastNumber: UInt64 = 0

    /// - Parameter limit: the joins that may be pending for one socket.
    /// - Returns: the join's number.
    mutating func add(_ join: PendingJoin, limit: Int) throws(JoinRequest.Refusal) -> UInt64 {
        guard join.socket.joinsUnderWay < limit else { throw .tooManyPendingJoins }
        lastNumber += 1
        joins[lastNumber] = join
        join.socket.joinsUnderWay += 1
        join.socket.pendingJoins.append(lastNumber)
        return lastNumber
    }

    /// Removes a join that is back; nil when it was cancelled meanwhile.
    mutating func take(_ number: UInt64) -> PendingJoin? {
        guard let join = joins.removeValue(forKey: number) else { return nil }
        // Not before: a client that joins and leaves must not have more joins under way than others.
        join.socket.joinsUnderWay -= 1
        if join.isCancelled { return nil }
        removeNumber(number, of: join.socket)
        return join
    }

    private mutating func cancel(_ number: UInt64) -> PendingJoin? {
        guard let join = joins[number], !join.isCancelled else { return nil }
        joins[number]?.isCancelled = true
        removeNumber(number, of: join.socket)
        return join
    }

    private func removeNumber(_ number: UInt64, of socket: Socket) {
        if socket.pendingJoins.count == 1 {
            // Gives its memory back.
            socket.pendingJoins = []
        } else if let index = socket.pendingJoins.firstIndex(of: number) {
            socket.pendingJoins.remove(at: index)
        }
    }

    /// Cancels the joins of a socket, oldest first; nil for those of all rooms.
    mutating func takeAll(of socket: Socket, room: ByteString? = nil) -> [PendingJoin] {
        let numbers = socket.pendingJoins.filter { room == nil || joins[$0]?.request.room == room }
        return numbers.compactMap { cancel($0) }
    }

    /// Cancels the joins of a locked room, oldest first. Anybody may join a public one again at once.
    mutating func takeAll(room: ByteString, namespace: ByteString) -> [PendingJoin] {
        guard JoinRequest.roomSpace(of: room) != nil else { return [] }
        let found = joins.filter { $0.value.request.room == room && $0.value.socket.namespace.name == namespace }
        return found.keys.sorted().compactMap { cancel($0) }
    }
}
