import Bytes
import DequeModule
import PubSubMessages
import RedisPubSub

/// The last messages of rooms, given to sockets that join. Lives on the router's event loop.
///
/// A room has one value for each event, or for each key of an event. Bounded in bytes, for each room in bytes and number, and
/// in age. The room used longest ago loses its values first.
final class KeptMessages {
    /// The place of one value.
    struct Slot: Hashable, Sendable {
        let namespace: ByteString
        let room: ByteString
        let event: ByteString
        /// Distinguishes the values of one event, such as the prices of several articles; empty for none.
        let key: ByteString
    }

    /// One kept message.
    struct Value: Sendable {
        let packet: EncodedPacket
        /// Milliseconds since 1970. The stamps of one process increase strictly, so they order its messages.
        var stamp: Int64
        /// Milliseconds since 1970.
        let expires: Int64
    }

    /// Bounds of one room.
    struct RoomLimits: Equatable {
        var bytes: Int
        var values: Int
    }

    private let limitBytes: Int
    private(set) var rooms: [RoomName: Room] = [:]
    /// The room used longest ago, and the one used last.
    private unowned var oldestRoom: Room?
    private unowned var newestRoom: Room?
    private var lastStamp: Int64 = 0
    /// No value expires earlier.
    private var nextExpiry = Int64.max
    /// Values taken from Redis so far.
    private(set) var loadCount = 0
    private(set) var byteCount = 0
    private(set) var valueCount = 0
    private(set) var counters = Counters()

    /// The numbers of ``MetricsPage``.
    struct Numbers: Sendable {
        var bytes = 0
        var values = 0
        var rooms = 0
        var counters = Counters()
    }

    var numbers: Numbers { Numbers(bytes: byteCount, values: valueCount, rooms: rooms.count, counters: counters) }

    struct Counters: Sendable, Equatable {
        /// Values that made room for others.
        var evicted = 0
        /// Messages larger than the bound of their room.
        var tooLarge = 0
        var expired = 0
        /// Messages without a usable key.
        var withoutKey = 0
    }

    // For storage in Redis, in `KeptMessages+Storage.swift`.
    /// True while this process writes to Redis: changes are recorded.
    var recordsChanges = false { didSet { if !recordsChanges { forgetChanges() } } }
    /// The slots that have changed, oldest change first. One that has a value stands here only if that says so.
    var changedSlots = Deque<Slot>()
    /// What was forgotten since the subscription began, and when: a stored value that is older is no value any more.
    var removals = KeptRemovals()
    /// Counts the merges of stored values.
    var mergeNumber = 0
    /// The present merge has found a value here that is newer than the stored one.
    var ownIsNewer = false

    /// The last argument of kept messages, if connections can be recovered.
    private let offset: RecoveryOffset?

    init(limitBytes: Int, offset: RecoveryOffset? = nil) {
        self.limitBytes = limitBytes
        self.offset = offset
    }

    var isEmpty: Bool { rooms.isEmpty }

    /// The stamp of a message that arrives now.
    func stamp(at now: Int64) -> Int64 {
        lastStamp = max(now, lastStamp + 1)
        return lastStamp
    }

    // MARK: Changes

    /// Keeps a message in place of the one before it.
    ///
    /// - Returns: false if it is larger than the room may be.
    @discardableResult
    func keep(_ value: Value, in slot: Slot, limits: RoomLimits) -> Bool {
        let cost = cost(of: slot, value)
        guard cost <= min(limits.bytes, limitBytes) else {
            counters.tooLarge += 1
            // The value before it is not the last one any more.
            forget(slot)
            return false
        }
        add(value, in: slot, cost: cost, isLive: true, limits: limits)
        return true
    }

    /// Adds a value that fits.
    private func add(_ value: Value, in slot: Slot, cost: Int, isLive: Bool, limits: RoomLimits) {
        let name = RoomName(namespace: slot.namespace, room: slot.room)
        let room = rooms[name] ?? addRoom(name)
        let entry: Entry
        if let former = room.entries[ValueName(slot)] {
            entry = former
            byteCount -= former.cost
            // Loaded once more.
            let isSame = !isLive && !former.isLive && former.value.stamp == value.stamp
            if !isSame { entry.loadNumber = isLive ? 0 : loadCount }
            room.replace(former, by: value, cost: cost, isLive: isLive)
        } else {
            entry = Entry(slot: slot, value: value, cost: cost, isLive: isLive)
            entry.loadNumber = isLive ? 0 : loadCount
            room.append(entry)
            valueCount += 1
        }
        byteCount += cost
        nextExpiry = min(nextExpiry, value.expires)
        use(room)
        if isLive { noteChange(of: entry) }
        while room.byteCount > limits.bytes || room.entries.count > limits.values, let first = room.first {
            evict(first, of: room)
        }
        while byteCount > limitBytes, let room = oldestRoom, let first = room.first { evict(first, of: room) }
    }

    /// Takes a value from Redis in place of the one here.
    func load(_ value: Value, in slot: Slot, limits: RoomLimits, at now: Int64 = WallClock.now()) {
        // Later messages get later stamps here too, unless somebody's clock is far ahead.
        if value.stamp < now + 60_000 { lastStamp = max(lastStamp, value.stamp) }
        let cost = cost(of: slot, value)
        guard cost <= min(limits.bytes, limitBytes) else { return }
        loadCount += 1
        add(value, in: slot, cost: cost, isLive: false, limits: limits)
    }

    /// Forgets the value of one slot.
    func forget(_ slot: Slot) {
        removals.add(slot)
        guard let room = rooms[RoomName(namespace: slot.namespace, room: slot.room)] else { return }
        remove(ValueName(slot), from: room)
        removeIfEmpty(room)
    }

    /// Forgets all values of an event, whatever their keys are.
    func forget(event: ByteString, namespace: ByteString, room name: ByteString) {
        removals.add(event: event, namespace: namespace, room: name)
        guard let room = rooms[RoomName(namespace: namespace, room: name)] else { return }
        for name in room.entries.keys where name.event == event { remove(name, from: room) }
        removeIfEmpty(room)
    }

    /// Removes the values whose age is reached.
    func expire(at now: Int64) {
        guard now >= nextExpiry else { return }
        nextExpiry = .max
        for room in rooms.values {
            for (name, entry) in room.entries {
                if entry.value.expires <= now {
                    remove(name, from: room)
                    counters.expired += 1
                } else {
                    nextExpiry = min(nextExpiry, entry.value.expires)
                }
            }
            removeIfEmpty(room)
        }
    }

    func noteMissingKey() { counters.withoutKey += 1 }

    // MARK: Reading

    /// The values of a room for a socket that joins, in the order of publishing.
    func packets(namespace: ByteString, room name: ByteString, at now: Int64) -> [EncodedPacket] {
        guard !rooms.isEmpty, let room = rooms[RoomName(namespace: namespace, room: name)] else { return [] }
        use(room)
        return room.packets(at: now, offset)
    }

    /// The values of a room that were loaded after the first `count` loaded values, in the order of publishing.
    func packets(namespace: ByteString, room name: ByteString, loadedAfter count: Int, at now: Int64) -> [EncodedPacket]
    {
        guard let room = rooms[RoomName(namespace: namespace, room: name)] else { return [] }
        return room.entries.values.filter { $0.loadNumber > count && $0.value.expires > now }
            .sorted { $0.value.stamp < $1.value.stamp }.map { $0.packet(offset) }
    }

    /// The number of values of a room, and the stamp of the oldest; nil if it has none.
    func summary(namespace: ByteString, room name: ByteString) -> (count: Int, oldest: Int64)? {
        guard let room = rooms[RoomName(namespace: namespace, room: name)], let first = room.first else { return nil }
        return (room.entries.count, first.value.stamp)
    }

    /// The rooms that have values.
    var roomNames: Set<RoomName> { Set(rooms.keys) }

    // MARK: Rooms

    struct RoomName: Hashable, Sendable {
        let namespace: ByteString
        let room: ByteString
    }

    struct ValueName: Hashable {
        let event: ByteString
        let key: ByteString

        init(_ slot: Slot) {
            event = slot.event
            key = slot.key
        }
    }

    /// Memory of one value: its bytes and its names twice, and the objects and table entries around it (measured).
    private func cost(of slot: Slot, _ value: Value) -> Int {
        (offset == nil ? 1 : 2) * value.packet.byteCount + slot.namespace.count + slot.room.count + 2
            * (slot.event.count + slot.key.count)
            + BridgeLimits.keptValueOverheadBytes
    }

    private func addRoom(_ name: RoomName) -> Room {
        let room = Room(name: name)
        rooms[name] = room
        byteCount += BridgeLimits.keptRoomOverheadBytes
        link(room)
        return room
    }

    private func evict(_ entry: Entry, of room: Room) {
        remove(ValueName(entry.slot), from: room)
        counters.evicted += 1
        removeIfEmpty(room)
    }

    func remove(_ name: ValueName, from room: Room) {
        guard let entry = room.remove(name) else { return }
        byteCount -= entry.cost
        valueCount -= 1
        noteRemoval(of: entry)
    }

    func removeIfEmpty(_ room: Room) {
        guard room.entries.isEmpty else { return }
        rooms[room.name] = nil
        byteCount -= BridgeLimits.keptRoomOverheadBytes
        unlink(room)
    }

    /// Makes a room the one used last.
    private func use(_ room: Room) {
        guard newestRoom !== room else { return }
        unlink(room)
        link(room)
    }

    private func link(_ room: Room) {
        room.older = newestRoom
        newestRoom?.newer = room
        newestRoom = room
        if oldestRoom == nil { oldestRoom = room }
    }

    private func unlink(_ room: Room) {
        if oldestRoom === room { oldestRoom = room.newer }
        if newestRoom === room { newestRoom = room.older }
        room.older?.newer = room.newer
        room.newer?.older = room.older
        room.older = nil
        room.newer = nil
    }

    /// One value, in the list of its room.
    final class Entry {
        let slot: Slot
        fileprivate(set) var value: Value
        fileprivate(set) var cost: Int
        /// Received since the subscription began.
        var isLive: Bool
        /// Stands in `changedSlots`.
        var isChanged = false
        /// Counts loaded values; 0 for one received here.
        fileprivate(set) var loadNumber = 0
        /// The last merge that found a stored value of the slot.
        var mergeNumber = 0
        fileprivate var packetWithOffset: EncodedPacket?
        // The table of the room owns the entries.
        unowned var next: Entry?
        unowned var previous: Entry?

        init(slot: Slot, value: Value, cost: Int, isLive: Bool) {
            self.isLive = isLive
            self.slot = slot
            self.value = value
            self.cost = cost
        }

        /// As clients get it; written once.
        fileprivate func packet(_ offset: RecoveryOffset?) -> EncodedPacket {
            guard let offset else { return value.packet }
            let packet = packetWithOffset ?? value.packet.adding(offset)
            packetWithOffset = packet
            return packet
        }
    }

    /// The values of one room, oldest first.
    final class Room {
        let name: RoomName
        private(set) var entries: [ValueName: Entry] = [:]
        private unowned var head: Entry?
        private unowned var last: Entry?
        /// Stored values are loaded in any order.
        private var isUnsorted = false
        private(set) var byteCount = 0
        // The table of rooms owns them.
        /// The rooms used before and after this one.
        unowned var older: Room?
        unowned var newer: Room?
        /// The packets of all values; nil after a change.
        private var packets: [EncodedPacket]?
        private var nextExpiry = Int64.max

        init(name: RoomName) { self.name = name }

        func append(_ entry: Entry) {
            entries[ValueName(entry.slot)] = entry
            link(entry)
        }

        /// Gives an entry a newer value, and makes it the last.
        func replace(_ entry: Entry, by value: Value, cost: Int, isLive: Bool) {
            unlink(entry)
            entry.value = value
            entry.packetWithOffset = nil
            entry.cost = cost
            entry.isLive = isLive
            entry.mergeNumber = 0
            link(entry)
        }

        private func link(_ entry: Entry) {
            byteCount += entry.cost
            nextExpiry = min(nextExpiry, entry.value.expires)
            packets = nil
            entry.previous = last
            last?.next = entry
            last = entry
            if head == nil { head = entry }
            if !entry.isLive { isUnsorted = true }
        }

        /// The value published first.
        var first: Entry? {
            if isUnsorted { sort() }
            return head
        }

        /// Loaded values were published before those received here.
        private func sort() {
            isUnsorted = false
            head = nil
            last = nil
            let sorted = entries.values.sorted {
                ($0.isLive ? 1 : 0, $0.value.stamp) < ($1.isLive ? 1 : 0, $1.value.stamp)
            }
            for entry in sorted {
                entry.previous = last
                entry.next = nil
                last?.next = entry
                last = entry
                if head == nil { head = entry }
            }
        }

        func remove(_ name: ValueName) -> Entry? {
            guard let entry = entries.removeValue(forKey: name) else { return nil }
            unlink(entry)
            return entry
        }

        private func unlink(_ entry: Entry) {
            byteCount -= entry.cost
            packets = nil
            let next = entry.next
            next?.previous = entry.previous
            if let previous = entry.previous { previous.next = next } else { head = next }
            if last === entry { last = entry.previous }
            entry.next = nil
        }

        func packets(at now: Int64, _ offset: RecoveryOffset?) -> [EncodedPacket] {
            if let packets, now < nextExpiry { return packets }
            var found: [EncodedPacket] = []
            nextExpiry = .max
            var entry = first
            while let current = entry {
                if current.value.expires > now {
                    found.append(current.packet(offset))
                    nextExpiry = min(nextExpiry, current.value.expires)
                }
                entry = current.next
            }
            packets = found
            return found
        }
    }
}
