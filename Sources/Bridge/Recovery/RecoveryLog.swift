import Bytes
import DequeModule
import PubSubMessages

/// The events of the last minutes, for clients that come back. Lives on the loop that reads Redis.
///
/// One log serves all clients. Each room has its own list of packets, which are shared with the clients' queues, so that a
/// recovery visits only what the client may have missed. The log is bounded in all, for each room, and by age; it remembers up to
/// which position a list is incomplete.
struct RecoveryLog {
    /// The age in microseconds, as the positions are.
    struct Limits {
        var age: Int64
        var bytes: Int
        var roomBytes: Int
    }

    /// A packet of one or several events in a row.
    private struct Entry {
        let first: RecoveryOffset
        let last: RecoveryOffset
        let packet: EncodedPacket
        let skip: [ByteString]
        let byteCount: Int
    }

    /// The packets of a room, oldest first.
    private final class RoomList {
        let name: ByteString?
        /// A reference cycle until the namespace forgets the list.
        let namespace: NamespaceLists
        var entries: Deque<Entry> = []
        var byteCount = 0
        /// Events up to this one may be missing.
        var droppedThrough = RecoveryOffset.none

        init(name: ByteString?, of namespace: NamespaceLists) {
            self.name = name
            self.namespace = namespace
        }
    }

    private final class NamespaceLists {
        let name: ByteString
        let rooms = NameTable<RoomList>()
        /// Nil until something is sent to everybody.
        var everyone: RoomList?

        init(name: ByteString) { self.name = name }

        func list(of room: ByteString?) -> RoomList? {
            if let room { rooms[room] } else { everyone }
        }
    }

    private let limits: Limits
    private let namespaces = NameTable<NamespaceLists>()
    /// The entries of all lists, oldest first; also some that their room's bound has removed already.
    private var order: Deque<(list: RoomList, last: RecoveryOffset)> = []
    /// Lists that were empty when they came here. They still say up to where they are incomplete.
    private var emptied: Deque<RoomList> = []
    private var removedFromOrder = 0
    /// Events of any room up to this one may be missing.
    private var droppedThrough = RecoveryOffset.none
    /// The position of the newest event, which may not be in the log yet.
    private(set) var last = RecoveryOffset.none
    private(set) var byteCount = 0

    /// Entries that `order` names; for tests.
    var orderCount: Int { order.count }

    init(limits: Limits) { self.limits = limits }

    // MARK: Writing

    /// A new position.
    mutating func next(at now: Int64) -> RecoveryOffset {
        last = RecoveryOffset(value: max(now, last.value + 1))
        return last
    }

    /// The position of an event in the same packet as the one before.
    mutating func nextInPacket() -> RecoveryOffset {
        last = RecoveryOffset(value: last.value + 1)
        return last
    }

    /// Adds a packet whose events have the positions from `first` to `last`, in a row.
    ///
    /// - Parameter room: nil for everybody in the namespace.
    mutating func append(
        _ packet: EncodedPacket, from first: RecoveryOffset, to last: RecoveryOffset, namespace: ByteString,
        room: ByteString?, skip: [ByteString] = []
    ) {
        let entry = Entry(
            first: first, last: last, packet: packet, skip: skip,
            byteCount: packet.frames.storageCapacity + BridgeLimits.logEntryBytes
                + skip.reduce(0) { $0 + $1.count + 32 })
        let list = list(of: room, namespace: namespace)
        list.entries.append(entry)
        list.byteCount += entry.byteCount
        byteCount += entry.byteCount
        order.append((list, last))
        // A room keeps its newest packet, however large it is.
        while list.byteCount > limits.roomBytes, list.entries.count > 1 {
            dropFirst(of: list)
            removedFromOrder += 1
        }
        if removedFromOrder > max(1024, order.count / 2) { compactOrder() }
        // Several at a time, so that the log shrinks while it is written to.
        if isTooOld(at: last.value) {
            for _ in 0..<4 where isTooOld(at: last.value) { dropOldest() }
        }
        while byteCount > limits.bytes, dropOldest() {}
    }

    /// Drops what is too old.
    mutating func expire(at now: Int64) {
        while isTooOld(at: now) { dropOldest() }
        while let list = emptied.first,
            !list.entries.isEmpty || list.droppedThrough.value < now - limits.age
        { dropFirstEmptied() }
    }

    private mutating func list(of room: ByteString?, namespace name: ByteString) -> RoomList {
        let namespace: NamespaceLists
        if let known = namespaces[name] {
            namespace = known
        } else {
            namespace = NamespaceLists(name: name)
            namespaces[name] = namespace
        }
        if let list = namespace.list(of: room) { return list }
        let list = RoomList(name: room, of: namespace)
        if let room { namespace.rooms[room] = list } else { namespace.everyone = list }
        byteCount += BridgeLimits.logRoomBytes
        return list
    }

    private func isTooOld(at now: Int64) -> Bool { order.first.map { $0.last.value < now - limits.age } ?? false }

    private mutating func dropFirst(of list: RoomList) {
        guard let entry = list.entries.popFirst() else { return }
        list.byteCount -= entry.byteCount
        byteCount -= entry.byteCount
        list.droppedThrough = entry.last
    }

    /// Drops the oldest packet, or an empty list if there is none.
    ///
    /// - Returns: false if the log is empty.
    @discardableResult
    private mutating func dropOldest() -> Bool {
        guard let (list, last) = order.popFirst() else { return dropFirstEmptied() }
        if last <= list.droppedThrough {
            removedFromOrder -= 1
        } else {
            dropFirst(of: list)
            if list.entries.isEmpty { emptied.append(list) }
        }
        return true
    }

    @discardableResult
    private mutating func dropFirstEmptied() -> Bool {
        guard let list = emptied.popFirst() else { return false }
        // It may have been filled and removed meanwhile.
        guard list.entries.isEmpty, list.namespace.list(of: list.name) === list else { return true }
        droppedThrough = max(droppedThrough, list.droppedThrough)
        byteCount -= BridgeLimits.logRoomBytes
        if let room = list.name { list.namespace.rooms[room] = nil } else { list.namespace.everyone = nil }
        if list.namespace.rooms.isEmpty, list.namespace.everyone == nil { namespaces[list.namespace.name] = nil }
        return true
    }

    private mutating func compactOrder() {
        order.removeAll { $0.last <= $0.list.droppedThrough }
        removedFromOrder = 0
    }

    // MARK: Reading

    /// The packets for a socket that were sent after it got `offset`, each once, in order; nil if some may be missing.
    ///
    /// - Parameter confirmed: the client has got everything up to this position, as its heartbeat shows, even if nothing of it was
    ///   for its rooms.
    func missed(
        by socket: RecoverableSocket, after offset: RecoveryOffset, confirmed: RecoveryOffset
    ) -> [EncodedPacket]? {
        let known = max(offset, confirmed)
        guard known >= droppedThrough else { return nil }
        guard let namespace = namespaces[socket.namespace] else { return [] }
        var found: [(entry: Entry, first: RecoveryOffset)] = []
        func search(_ room: ByteString?, since: RecoveryOffset, until: RecoveryOffset? = nil) -> Bool {
            guard let list = namespace.list(of: room) else { return true }
            guard max(known, since) >= list.droppedThrough else { return false }
            let start = max(offset, since)
            for entry in list.entries[Self.firstIndex(in: list.entries, after: start)...] {
                if let until, entry.last > until { break }
                if entry.skip.isEmpty || !entry.skip.contains(socket.sid) { found.append((entry, start)) }
            }
            return true
        }
        guard search(nil, since: socket.start), search(socket.sid, since: socket.start) else { return nil }
        for room in socket.rooms { if !search(room.name, since: room.since) { return nil } }
        for room in socket.formerRooms { if !search(room.name, since: room.since, until: room.until) { return nil } }
        found.sort { ($0.entry.first, $0.first) < ($1.entry.first, $1.first) }
        var packets: [EncodedPacket] = []
        var previous = RecoveryOffset.none
        // A message to several of the socket's rooms is in the list of each.
        for (entry, start) in found where entry.first != previous {
            previous = entry.first
            let received = start < entry.first ? 0 : Int(start.value - entry.first.value) + 1
            packets.append(received == 0 ? entry.packet : entry.packet.dropFirst(events: received))
        }
        return packets
    }

    /// The index of the first entry that ends after a position.
    private static func firstIndex(in entries: Deque<Entry>, after offset: RecoveryOffset) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].last > offset { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
