import JSONCodec

/// Which other event loops have members of a room, kept on the loop that reads Redis.
///
/// A loop without members gets no task, and a message without any is dropped before its data is read. Loops report
/// a room's birth and death; a count (not a flag) lets the router add an expected birth of its own, so that an
/// `enter_room` and an emit to that room in one read arrive in this order.
struct RoomInterest {
    private struct Key: Hashable { let namespace: ByteString, room: ByteString? }
    private var counts: [Key: [Int]] = [:]
    private let loopCount: Int

    init(loopCount: Int) { self.loopCount = loopCount }

    mutating func add(_ amount: Int, namespace: ByteString, room: ByteString?, loop: Int) {
        let key = Key(namespace: namespace, room: room)
        var perLoop = counts[key] ?? Array(repeating: 0, count: loopCount)
        perLoop[loop] += amount
        counts[key] = perLoop.contains { $0 != 0 } ? perLoop : nil
    }

    func isInterested(loop: Int, namespace: ByteString, room: ByteString?) -> Bool {
        counts[Key(namespace: namespace, room: room)].map { $0[loop] > 0 } ?? false
    }
}
