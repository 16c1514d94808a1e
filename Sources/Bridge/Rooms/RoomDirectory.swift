import Bytes
import PubSubMessages

/// Tells which event loops may have members of a room. Lives on the loop that reads Redis.
///
/// The rooms of that loop are looked up directly; the other loops report theirs (``RoomInterest``).
final class RoomDirectory {
    let loopCount: Int
    /// The index of the shard on this loop; -1 without one.
    private(set) var localLoop = -1
    private var localRooms: RoomRegistry?
    private var interest: RoomInterest
    /// The event loops of recovered sockets, by sid and pid, where these name another one.
    var moved: [ByteString: Int] = [:]

    init(loopCount: Int) {
        self.loopCount = loopCount
        interest = RoomInterest(loopCount: loopCount)
    }

    func setLocal(_ rooms: RoomRegistry, loop: Int) {
        localRooms = rooms
        localLoop = loop
    }

    /// Adds reported or expected members of a room on another loop; `amount` may be negative.
    func add(_ amount: Int, namespace: ByteString, room: ByteString?, loop: Int) {
        if loop != localLoop { interest.add(amount, namespace: namespace, room: room, loop: loop) }
    }

    /// As `add`, for a namespace and several of its rooms.
    func add(_ amount: Int, namespace: ByteString, rooms: [ByteString], loop: Int) {
        add(amount, namespace: namespace, room: nil, loop: loop)
        for room in rooms { add(amount, namespace: namespace, room: room, loop: loop) }
    }

    /// True if an emit for a room may reach anybody, and also for an unknown namespace: `route` then counts it under another
    /// reason.
    ///
    /// - Parameter isLocal: set when the room has members on this loop.
    func mayReach(_ room: UnsafeRawBufferPointer, of namespace: ByteString, isLocal: inout Bool) -> Bool {
        let local = localRooms?.namespaces[namespace]
        if let local, unsafe local.isAnyone(in: room) {
            isLocal = true
            return true
        }
        if loopCount == 1 { return local == nil }
        return unsafe room.count == SessionID.length || interest.isInterested(namespace: namespace, room: room)
            || local == nil && !isKnown(namespace)
    }

    /// The event loop that has the socket of a sid or pid, if there is one; nil if it can't be ours.
    func owner(of sid: ByteString) -> Int? {
        if !moved.isEmpty, let loop = moved[sid] { return loop }
        return SessionID.loop(of: sid, loopCount: loopCount)
    }

    /// True if a client of any loop has opened the namespace.
    func isKnown(_ namespace: ByteString) -> Bool {
        (0..<loopCount).contains { isAnyone(in: .everyone, of: namespace, loop: $0) }
    }

    func isAnyone(in rooms: PubSubMessage.Rooms, of namespace: ByteString, loop: Int) -> Bool {
        if loop == localLoop { return isAnyoneLocal(in: rooms, of: namespace) }
        guard interest.isInterested(loop: loop, namespace: namespace, room: nil) else { return false }
        switch rooms {
        case .everyone: return true
        case .these(let names):
            return names.contains {
                owner(of: $0) == loop
                    || interest.isInterested(loop: loop, namespace: namespace, room: $0)
            }
        }
    }

    /// True if a message to a room may reach anybody.
    func isAnyone(in room: ByteString, of namespace: ByteString) -> Bool {
        let rooms = PubSubMessage.Rooms.these([room])
        return (0..<loopCount).contains { isAnyone(in: rooms, of: namespace, loop: $0) }
    }

    func isAnyoneLocal(in rooms: PubSubMessage.Rooms, of namespace: ByteString) -> Bool {
        guard let local = localRooms?.namespaces[namespace] else { return false }
        switch rooms {
        case .everyone: return true
        case .these(let names): return names.contains { unsafe $0.withUnsafeBytes { unsafe local.isAnyone(in: $0) } }
        }
    }

    /// The other loops that may have members of the rooms.
    func otherLoops(with rooms: PubSubMessage.Rooms, of namespace: ByteString) -> [Int] {
        var loops: [Int] = []
        for loop in 0..<loopCount where loop != localLoop && isAnyone(in: rooms, of: namespace, loop: loop) {
            loops.append(loop)
        }
        return loops
    }
}
