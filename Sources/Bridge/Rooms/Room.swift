import Bytes

/// The sockets of one event loop that are in one room of one namespace.
///
/// A membership has its index here and the room's index in the socket's own list, so entering and leaving are O(1).
final class Room {
    struct Member {
        /// A reference cycle, since the socket holds its rooms; `RoomRegistry.disconnect` breaks it. Unowned references would
        /// cost a tenth of a delivery.
        let socket: Socket
        /// The socket's session, so that deliveries need not read the socket.
        let session: Session
        /// Index of this room in `socket.memberships`.
        var slot: Int
    }

    let name: ByteString
    private(set) var members: ContiguousArray<Member> = []
    /// Members whose clients are away and may come back.
    var parkedCount = 0
    /// Members whose clients are connected.
    var presentCount: Int { members.count - parkedCount }

    init(name: ByteString) { self.name = name }

    func append(_ socket: Socket) {
        socket.memberships.append(.init(room: self, index: members.count))
        members.append(Member(socket: socket, session: socket.session, slot: socket.memberships.count - 1))
        if socket.isParked { parkedCount += 1 }
    }

    /// Removes the socket with the membership at `slot`.
    func remove(_ socket: Socket, slot: Int) {
        let index = socket.memberships[slot].index
        members.swapRemove(at: index)
        if socket.isParked { parkedCount -= 1 }
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

    /// The slot of this room in the socket's list; nil if the socket is no member. Searches the shorter of both lists.
    func slot(of socket: Socket) -> Int? {
        if members.count < socket.memberships.count {
            return members.first { $0.socket === socket }?.slot
        }
        return socket.memberships.firstIndex { $0.room === self }
    }
}

extension RangeReplaceableCollection where Self: MutableCollection & BidirectionalCollection, Index == Int {
    /// Removes an element by moving the last one to its index.
    mutating func swapRemove(at index: Int) {
        let last = count - 1
        if index != last { self[index] = self[last] }
        removeLast()
    }
}
