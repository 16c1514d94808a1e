import Bytes

/// Storage in Redis: changes to write, and stored values to merge.
extension KeptMessages {
    /// Changes to write, encoded.
    struct Batch {
        var values: [(field: [UInt8], value: [UInt8])] = []
        /// Fields to delete.
        var removals: [[UInt8]] = []
        var slots: [Slot] = []
        /// When the last of the values expires.
        var lastExpiry: Int64 = 0
        /// No change is left.
        var isLast = true
    }

    private func entry(of slot: Slot) -> Entry? {
        rooms[RoomName(namespace: slot.namespace, room: slot.room)]?.entries[ValueName(slot)]
    }

    // MARK: Changes

    func noteChange(of entry: Entry) {
        guard recordsChanges, !entry.isChanged else { return }
        entry.isChanged = true
        changedSlots.append(entry.slot)
    }

    /// The entry isn't in the table any more. If it is among the changes, its slot says that it was removed.
    func noteRemoval(of entry: Entry) {
        if recordsChanges, !entry.isChanged { changedSlots.append(entry.slot) }
    }

    /// True if slots that have no value any more make up most of the changes: nobody takes them.
    var hasTooManyChanges: Bool { changedSlots.count > valueCount + BridgeLimits.keptRemovals }

    func forgetChanges() {
        for slot in changedSlots { entry(of: slot)?.isChanged = false }
        changedSlots.removeAll()
    }

    /// Takes the oldest changes, at least one.
    func takeChanges(upToBytes limit: Int) -> Batch {
        var batch = Batch()
        var byteCount = 0
        while byteCount < limit, let slot = changedSlots.popFirst() {
            guard let field = StoredValue.field(of: slot) else { continue }
            if let entry = entry(of: slot) {
                // A slot that was removed and set again stands here twice.
                guard entry.isChanged else { continue }
                entry.isChanged = false
                if let value = encoded(entry) {
                    batch.values.append((field, value))
                    batch.lastExpiry = max(batch.lastExpiry, entry.value.expires)
                    byteCount += value.count
                } else {
                    // It can't be stored, and the one before it is not the last.
                    batch.removals.append(field)
                }
            } else {
                batch.removals.append(field)
            }
            byteCount += field.count
            batch.slots.append(slot)
        }
        batch.isLast = changedSlots.isEmpty
        return batch
    }

    /// The changes weren't written. They are looked up again, so newer ones of the same slots are what is written next.
    func putBack(_ batch: Batch) {
        guard recordsChanges else { return }
        for slot in batch.slots.reversed() {
            if let entry = entry(of: slot) {
                guard !entry.isChanged else { continue }
                entry.isChanged = true
            }
            changedSlots.prepend(slot)
        }
    }

    private func encoded(_ entry: Entry) -> [UInt8]? {
        let value = entry.value
        return StoredValue.encode(
            value.packet, namespace: entry.slot.namespace, stamp: value.stamp, expires: value.expires)
    }

    // MARK: Merging

    /// A subscription begins: what is here was received before it.
    func beginEpoch() {
        removals = KeptRemovals()
        for room in rooms.values { for entry in room.entries.values { entry.isLive = false } }
    }

    /// Makes changes of all values received since the subscription began.
    ///
    /// - Returns: false if there are none.
    func markLiveChanged() -> Bool {
        let live = rooms.values.flatMap(\.entries.values).filter(\.isLive)
        for entry in live.sorted(by: { $0.value.stamp < $1.value.stamp }) { noteChange(of: entry) }
        return !live.isEmpty
    }

    func beginMerge() {
        mergeNumber += 1
        ownIsNewer = false
    }

    /// Merges one stored value.
    ///
    /// - Parameters:
    ///   - bytes: the value as it is stored.
    ///   - requestStamp: when we asked for what is stored; the server that stored it has seen the messages before.
    func merge(
        _ slot: Slot, _ stored: StoredValue, _ bytes: [UInt8], _ merge: KeptMerge, limits: RoomLimits,
        before requestStamp: Int64, packet: () -> EncodedPacket
    ) {
        let own = entry(of: slot)
        own?.mergeNumber = mergeNumber
        let isLive = own?.isLive ?? removals.contains(slot)
        let isOwnStampNewer = own.map { $0.value.stamp > stored.stamp } ?? false
        let keepsOwn: Bool =
            switch merge {
            case .own: true
            case .stored: isLive
            case .newer: isLive || isOwnStampNewer
            }
        guard keepsOwn else {
            load(Value(packet: packet(), stamp: stored.stamp, expires: stored.expires), in: slot, limits: limits)
            entry(of: slot)?.mergeNumber = mergeNumber
            return
        }
        if merge == .stored {
            // Usually it has only just come. Encoding it is needed if the writer has missed it.
            guard let own, isOwnStampNewer, own.value.stamp < requestStamp, let ownBytes = encoded(own) else { return }
            if !StoredValue.areSameMessage(ownBytes, bytes) { ownIsNewer = true }
            return
        }
        guard let own else {
            ownIsNewer = true
            if recordsChanges { changedSlots.append(slot) }
            return
        }
        guard let ownBytes = encoded(own) else { return }
        let isSame = StoredValue.areSameMessage(ownBytes, bytes)
        if !isSame { ownIsNewer = true }
        // The same message, published again later, lives longer.
        if !isSame || own.value.expires > stored.expires + 5000 { noteChange(of: own) }
    }

    /// Everything that is stored has been merged.
    ///
    /// - Returns: true if values here are newer than those stored, or not stored.
    func finishMerge(_ merge: KeptMerge) -> Bool {
        for room in rooms.values {
            for (name, entry) in room.entries where entry.mergeNumber != mergeNumber {
                if merge == .stored {
                    if !entry.isLive { remove(name, from: room) }
                } else {
                    ownIsNewer = true
                    noteChange(of: entry)
                }
            }
            removeIfEmpty(room)
        }
        return ownIsNewer
    }
}

/// Values that were forgotten lately.
struct KeptRemovals {
    private var slots: Set<KeptMessages.Slot> = []
    /// Events of which all values were forgotten; their slots have no key.
    private var events: Set<KeptMessages.Slot> = []

    mutating func add(_ slot: KeptMessages.Slot) {
        if slots.count >= BridgeLimits.keptRemovals { slots.removeAll() }
        slots.insert(slot)
    }

    mutating func add(event: ByteString, namespace: ByteString, room: ByteString) {
        if events.count >= BridgeLimits.keptRemovals { events.removeAll() }
        events.insert(KeptMessages.Slot(namespace: namespace, room: room, event: event, key: ""))
    }

    func contains(_ slot: KeptMessages.Slot) -> Bool {
        guard !slots.isEmpty || !events.isEmpty else { return false }
        return slots.contains(slot)
            || events.contains(
                KeptMessages.Slot(namespace: slot.namespace, room: slot.room, event: slot.event, key: ""))
    }
}
