import Bytes

/// The sockets and rooms of one namespace on one event loop.
final class Namespace {
    let name: ByteString
    let everyone: Room
    /// Sockets by sid. Each sid is a room of its own, without a `Room`.
    let sockets = NameTable<Socket>()

    /// The socket with this name as its sid. Most names of rooms differ from sids in length.
    func socket(named name: ByteString) -> Socket? { name.count == SessionID.length ? sockets[name] : nil }

    /// True if anyone is in the room of this name.
    func isAnyone(in name: UnsafeRawBufferPointer) -> Bool {
        unsafe rooms.contains(name) || name.count == SessionID.length && sockets.contains(name)
    }

    let rooms = NameTable<Room>()

    fileprivate init(name: ByteString) {
        self.name = name
        everyone = Room(name: "")
    }
}

/// The namespaces, rooms and sockets of one event loop.
///
/// `changed` reports each namespace or room that appears or disappears here; the router sends messages accordingly.
final class RoomRegistry {
    /// A namespace (`room` is nil) or a room got its first member or lost its last.
    struct Change { let namespace: ByteString, room: ByteString?, isAlive: Bool }

    let namespaces = NameTable<Namespace>()
    var changed: (Change) -> Void = { _ in }
    /// Every event up to this position was delivered here before, if it was for a room of this event loop.
    var position = RecoveryOffset.none
    /// Every event up to this position was routed by the rooms before the latest `whenRoutable`.
    var routedPosition = RecoveryOffset.none

    func connect(_ session: Session, to name: ByteString, sid: ByteString) -> Socket {
        let namespace: Namespace
        if let known = namespaces[name] {
            namespace = known
        } else {
            namespace = Namespace(name: name)
            namespaces[name] = namespace
            changed(Change(namespace: name, room: nil, isAlive: true))
        }
        let socket = Socket(sid: sid, namespace: namespace, session: session)
        namespace.sockets[sid] = socket
        namespace.everyone.append(socket)
        return socket
    }

    func disconnect(_ socket: Socket) {
        let namespace = socket.namespace
        guard namespace.sockets.removeValue(for: socket.sid) else { return }
        while let last = socket.memberships.last {
            last.room.remove(socket, slot: socket.memberships.count - 1)
            if last.room !== namespace.everyone { removeIfEmpty(last.room, of: namespace) }
        }
        if namespace.sockets.isEmpty {
            namespaces.removeValue(for: namespace.name)
            changed(Change(namespace: namespace.name, room: nil, isAlive: false))
        }
    }

    /// True if a socket is in a room already, or may enter it without exceeding `limit` rooms. The room of everybody doesn't count.
    func mayEnter(_ socket: Socket, room name: ByteString, limit: Int) -> Bool {
        socket.memberships.count <= limit || socket.namespace.rooms[name]?.slot(of: socket) != nil
    }

    /// - Returns: whether the room is new on this loop.
    @discardableResult
    func enter(_ socket: Socket, room name: ByteString) -> Bool {
        let namespace = socket.namespace
        if let room = namespace.rooms[name] {
            if room.slot(of: socket) == nil { append(socket, to: room) }
            return false
        }
        let room = Room(name: name)
        namespace.rooms[name] = room
        append(socket, to: room)
        changed(Change(namespace: namespace.name, room: name, isAlive: true))
        return true
    }

    private func append(_ socket: Socket, to room: Room) {
        room.append(socket)
        socket.recovery?.since[room.name] = position
    }

    /// - Parameter byBackend: what was sent to the room before is still for the socket if it is recovered.
    func leave(_ socket: Socket, room name: ByteString, byBackend: Bool = false) {
        guard let room = socket.namespace.rooms[name], let slot = room.slot(of: socket) else { return }
        room.remove(socket, slot: slot)
        if let recovery = socket.recovery {
            if byBackend { recovery.left(name, at: position) } else { recovery.since[name] = nil }
        }
        removeIfEmpty(room, of: socket.namespace)
    }

    /// Every member leaves. The room named by a sid is that socket's own and stays.
    func close(room name: ByteString, namespace: ByteString) {
        guard let namespace = namespaces[namespace], let room = namespace.rooms[name] else { return }
        while let member = room.members.last {
            room.remove(member.socket, slot: member.slot)
            member.socket.recovery?.left(name, at: position)
        }
        removeIfEmpty(room, of: namespace)
    }

    /// Looks up a socket as a delivery does: by namespace and sid, then in its room. True if there are no sockets.
    func findsItsRooms() -> Bool {
        guard let namespace = namespaces.values.first(where: { _ in true }) else { return true }
        guard let socket = namespace.everyone.members.first?.socket,
            let membership = socket.memberships.last, membership.index < membership.room.members.count
        else { return false }
        return namespaces[namespace.name]?.sockets[socket.sid] === socket
            && membership.room.members[membership.index].socket === socket
    }

    private func removeIfEmpty(_ room: Room, of namespace: Namespace) {
        guard room.members.isEmpty else { return }
        namespace.rooms.removeValue(for: room.name)
        changed(Change(namespace: namespace.name, room: room.name, isAlive: false))
    }
}
