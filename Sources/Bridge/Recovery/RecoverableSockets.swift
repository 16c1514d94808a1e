import Bytes
import DequeModule
import SocketIOProtocol

/// The sockets of one event loop by their pids, and the parked ones among them: their transport was lost, and their client may
/// come back.
///
/// A parked socket stays in its rooms, so that messages for it are logged and backends can still take it out. Its session is
/// closed and takes no packets.
final class RecoverableSockets {
    private struct Parked {
        let socket: Socket
        let until: EngineIOSession.Instant
        let byteCount: Int
    }

    private let duration: Duration
    private let limitBytes: Int
    private var sockets: [ByteString: Socket] = [:]
    private var parked: [UInt64: Parked] = [:]
    /// The numbers of parked sockets, oldest first; also of some that aren't parked any more.
    private var order: Deque<UInt64> = []
    private var lastNumber: UInt64 = 0
    private(set) var byteCount = 0

    init(duration: Duration, limitBytes: Int = BridgeLimits.parkedBytes) {
        self.duration = duration
        self.limitBytes = limitBytes
    }

    var parkedCount: Int { parked.count }

    subscript(pid: ByteString) -> Socket? { sockets[pid] }

    func add(_ socket: Socket) {
        if let state = socket.recovery { sockets[state.pid] = socket }
    }

    /// The socket has left its namespace.
    func remove(_ socket: Socket) {
        guard let state = socket.recovery else { return }
        if sockets[state.pid] === socket { sockets[state.pid] = nil }
        if let number = state.parkedNumber, let entry = parked.removeValue(forKey: number) {
            byteCount -= entry.byteCount
        }
        // Otherwise the numbers of sockets that came back would pile up.
        if order.count > 2 * parked.count + 1024 { order.removeAll { parked[$0] == nil } }
    }

    func park(_ socket: Socket, at now: EngineIOSession.Instant) {
        guard let state = socket.recovery, state.parkedNumber == nil else { return }
        lastNumber += 1
        for membership in socket.memberships { membership.room.parkedCount += 1 }
        state.parkedNumber = lastNumber
        let names = socket.memberships.reduce(0) { $0 + $1.room.name.count }
        let bytes = BridgeLimits.parkedSocketBytes + BridgeLimits.parkedRoomBytes * socket.memberships.count + names
        parked[lastNumber] = Parked(socket: socket, until: now + duration, byteCount: bytes)
        order.append(lastNumber)
        byteCount += bytes
    }

    /// The oldest parked socket if there are too many.
    var excess: Socket? { byteCount > limitBytes ? oldest?.socket : nil }

    /// A parked socket whose time is over.
    func expired(at now: EngineIOSession.Instant) -> Socket? {
        oldest.flatMap { now >= $0.until ? $0.socket : nil }
    }

    private var oldest: Parked? {
        while let number = order.first {
            if let entry = parked[number] { return entry }
            order.removeFirst()
        }
        return nil
    }
}
