import Bytes

/// Counts the members of rooms on the other event loops. Lives on the loop that reads Redis.
///
/// A loop without members gets no task, and a message for an empty room is dropped before its data is read. Loops report when a
/// room gets its first member and when it loses its last. A count, unlike a flag, lets the router add an expected first member,
/// so that an `enter_room` and an emit to that room in one read act in this order.
struct RoomInterest {
    private final class Namespace {
        /// Reported and expected members of each loop.
        var counts: [Int]
        let rooms = NameTable<[Int]>()

        init(counts: [Int]) { self.counts = counts }
    }

    private let namespaces = NameTable<Namespace>()
    private let loopCount: Int

    init(loopCount: Int) { self.loopCount = loopCount }

    mutating func add(_ amount: Int, namespace name: ByteString, room: ByteString?, loop: Int) {
        let none = Array(repeating: 0, count: loopCount)
        let namespace = namespaces[name] ?? Namespace(counts: none)
        if let room {
            var counts = namespace.rooms[room] ?? none
            counts[loop] += amount
            namespace.rooms[room] = counts.contains { $0 != 0 } ? counts : nil
        } else {
            namespace.counts[loop] += amount
        }
        let isEmpty = namespace.rooms.isEmpty && !namespace.counts.contains { $0 != 0 }
        namespaces[name] = isEmpty ? nil : namespace
    }

    func isInterested(loop: Int, namespace name: ByteString, room: ByteString?) -> Bool {
        guard let namespace = namespaces[name] else { return false }
        guard let room else { return namespace.counts[loop] > 0 }
        return namespace.rooms[room].map { $0[loop] > 0 } ?? false
    }

    /// True if any loop is interested in a room.
    func isInterested(namespace name: ByteString, room: UnsafeRawBufferPointer) -> Bool {
        unsafe namespaces[name]?.rooms[bytes: room].map { $0.contains { $0 > 0 } } ?? false
    }
}
