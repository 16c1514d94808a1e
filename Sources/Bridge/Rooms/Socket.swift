import Bytes
import PubSubMessages
import SocketIOProtocol

/// One namespace of one session; Socket.IO calls it a socket. It has its own sid and is in its own rooms.
final class Socket {
    struct Membership {
        let room: Room
        /// Index of this socket in `room.members`.
        var index: Int
    }

    let sid: ByteString
    let namespace: Namespace
    /// A reference cycle until the session closes and releases its sockets.
    let session: Session
    /// Includes `namespace.everyone`, so an empty list means disconnected.
    var memberships: ContiguousArray<Membership> = []
    /// The last delivery that reached this socket, so that a list of rooms reaches it once.
    var lastDelivery: UInt64 = 0
    /// The page wants to be told of gaps, in which messages may have been missed.
    var wantsGaps = false
    /// The numbers of its joins in ``PendingJoins``, oldest first.
    var pendingJoins: [UInt64] = []
    /// Joins that are not back yet, also cancelled ones.
    var joinsUnderWay = 0
    var owedAcks = OwedAcks()
    /// Nil without recovery.
    var recovery: RecoveryState?
    /// Its transport was lost and its client may come back.
    var isParked: Bool { recovery?.parkedNumber != nil }

    init(sid: ByteString, namespace: Namespace, session: Session) {
        self.sid = sid
        self.namespace = namespace
        self.session = session
    }

    /// True if it has left its namespace, with its rooms.
    var isDisconnected: Bool { memberships.isEmpty }

    /// The rooms that it has joined.
    var roomNames: [KeptMessages.RoomName] {
        memberships.map(\.room).filter { $0 !== namespace.everyone }.map {
            .init(namespace: namespace.name, room: $0.name)
        }
    }
}

/// The acks that a client owes.
struct OwedAcks: Sendable {
    private var lastID = 0
    private var pending: [(id: Int, address: CallbackAddress)] = []

    /// Assigns the ack id of an event; ids count from 1 per sid, as python-socketio's do.
    ///
    /// - Returns: the id, and whether an older ack had to be forgotten to stay within `limit`.
    mutating func expect(for address: CallbackAddress, limit: Int) -> (id: Int, forgotOne: Bool) {
        lastID += 1
        let forgets = pending.count >= limit
        if forgets { pending.removeFirst() }
        pending.append((lastID, address))
        return (lastID, forgets)
    }

    mutating func take(_ id: Int) -> CallbackAddress? {
        guard let index = pending.firstIndex(where: { $0.id == id }) else { return nil }
        return pending.remove(at: index).address
    }
}

/// Acks to the client. They are sent also to a socket that has left its namespace meanwhile: its page may still wait for one.
extension Socket {
    /// Acks a refused `join` or `leave`, if the client asked for an ack.
    func acknowledge(_ id: Int?, _ refusal: JoinRequest.Refusal) {
        guard let id else { return }
        acknowledge(id) { packet in
            packet.append(#"[{"ok":false,"error":"#)
            unsafe ByteString(refusal.rawValue).withUnsafeBytes { unsafe packet.appendString(wtf8: $0) }
            packet.append("}]")
        }
    }

    /// Acks a join.
    ///
    /// - Parameter keptCount: the kept messages that follow.
    func acknowledge(_ id: Int, keptCount: Int) {
        guard keptCount > 0 else { return acknowledge(id, #"[{"ok":true}]"#) }
        acknowledge(id) { packet in
            packet.append(#"[{"ok":true,"kept":"#)
            packet.appendInteger(Int64(keptCount))
            packet.append("}]")
        }
    }

    /// - Parameter arguments: a JSON array.
    func acknowledge(_ id: Int, _ arguments: StaticString) {
        acknowledge(id) { $0.append(arguments) }
    }

    private func acknowledge(_ id: Int, writeArguments: (inout JSONWriter) -> Void) {
        session.enqueueSolicited { packet in
            SocketIOPacketWriter.writeHead(.ack, namespace: namespace.name, ackID: id, to: &packet)
            writeArguments(&packet)
        }
    }
}
