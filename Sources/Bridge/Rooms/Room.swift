import JSONCodec

/// The sockets of one event loop that are in one room of one namespace.
///
/// A member knows its place here and the room's place in its own list, so entering and leaving are O(1).
final class Room {
    struct Member {
        /// A cycle, since the socket holds its rooms; `RoomRegistry.disconnect` opens it. Unowned references would
        /// cost a tenth of a delivery.
        let socket: Socket
        /// The socket's, for deliveries, which then need not read the socket.
        let session: Session
        /// Index of this room in `socket.memberships`.
        var slot: Int
    }

    let name: ByteString
    // Unchecked: read for each delivery, and no delivery holds on to it while it calls.
    @exclusivity(unchecked) private(set) var members: ContiguousArray<Member> = []

    init(name: ByteString) { self.name = name }

    func append(_ socket: Socket) {
        socket.memberships.append(.init(room: self, index: members.count))
        members.append(Member(socket: socket, session: socket.session, slot: socket.memberships.count - 1))
    }

    /// Removes the socket whose membership stands at `slot`.
    func remove(_ socket: Socket, slot: Int) {
        let index = socket.memberships[slot].index
        members.swapRemove(at: index)
        if index < members.count {
            let moved = members[index]
            moved.socket.memberships[moved.slot].index = index
        }
        socket.memberships.swapRemove(at: slot)
        if slot < socket.memberships.count {
            let moved = socket.memberships[slot]
            moved.room.members[moved.index].slot = slot
        }
    }

    /// The slot of this room in the socket's list, nil when the socket is not a member. Searches the shorter side.
    func slot(of socket: Socket) -> Int? {
        if members.count < socket.memberships.count {
            return members.first { $0.socket === socket }?.slot
        }
        return socket.memberships.firstIndex { $0.room === self }
    }
}

extension RangeReplaceableCollection where Self: MutableCollection & BidirectionalCollection, Index == Int {
    /// Removes an element by moving the last one into its place.
    mutating func swapRemove(at index: Int) {
        let last = count - 1
        if index != last { self[index] = self[last] }
        removeLast()
    }
}
