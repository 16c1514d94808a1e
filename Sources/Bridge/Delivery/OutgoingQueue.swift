import DequeModule
import NIOCore
import SocketIOProtocol

/// Packets waiting for one client's transport, oldest first.
struct OutgoingQueue {
    /// The oldest packet. It is mostly the only one, and then the queue needs no other memory.
    private var first: EncodedPacket?
    /// Nil where a packet was dropped.
    private var further: Deque<EncodedPacket?> = []
    private var index: WaitingIndex?
    /// Bytes of the packets in the queue; a packet counts as a whole until its last part is gone.
    private(set) var byteCount = 0
    /// Parts of the oldest packet that an earlier poll has taken.
    private var partsTaken: Int32 = 0
    /// `further` has more memory than a client that keeps up needs.
    private var isLong = false

    var isEmpty: Bool { first == nil }
    var packetCount: Int { first == nil ? 0 : 1 + further.count - (index?.holes ?? 0) }

    mutating func append(_ packet: EncodedPacket) {
        if first == nil {
            first = packet
        } else {
            further.append(packet)
            if further.count > BridgeLimits.keptQueuedPackets { isLong = true }
        }
        byteCount += packet.byteCount
        if let index { index.note(packet, at: index.start + further.count) }
    }

    /// Frames for one write to a websocket: the oldest packet as it is, or several small ones joined in `scratch`.
    ///
    /// If a client upgrades in the middle of a packet, it gets the remaining parts as frames.
    mutating func popFrames(joining scratch: inout ByteBuffer) -> ByteBuffer? {
        guard let frames = popFrames() else { return nil }
        guard let next = first, frames.readableBytes + next.byteCount <= BridgeLimits.joinedWriteBytes else {
            return frames
        }
        scratch.clear(minimumCapacity: BridgeLimits.joinedWriteBytes)
        scratch.writeImmutableBuffer(frames)
        while let next = first, scratch.readableBytes + next.byteCount <= BridgeLimits.joinedWriteBytes {
            guard let frames = popFrames() else { break }
            scratch.writeImmutableBuffer(frames)
        }
        return scratch
    }

    private mutating func popFrames() -> ByteBuffer? {
        guard let packet = popFirst() else { return nil }
        defer { partsTaken = 0 }
        return packet.frames(from: Int(partsTaken))
    }

    private mutating func popFirst() -> EncodedPacket? {
        guard let packet = first else { return nil }
        if let index { popFirst(packet, index) } else { first = further.popFirst() ?? nil }
        if isLong, first == nil {
            further = []
            isLong = false
        }
        byteCount -= packet.byteCount
        return packet
    }

    /// Moves packets into one polling payload: at most 16, since python clients refuse more, and none beyond 1 MiB, since each
    /// client's payload is a copy.
    mutating func popPayload() -> ByteBuffer {
        var payload = ByteBufferAllocator().buffer(capacity: min(byteCount, 1 << 16))
        var taken = 0
        while taken < EngineIOPayload.maximumPacketsInPayload, let packet = first,
            taken == 0
                || payload.readableBytes + packet.partByteCount(Int(partsTaken)) <= BridgeLimits.pollResponseBytes
        {
            if taken > 0 { payload.writeInteger(EngineIOPayload.separator) }
            packet.appendPart(Int(partsTaken), to: &payload)
            partsTaken += 1
            taken += 1
            if partsTaken == packet.partCount {
                partsTaken = 0
                _ = popFirst()
            }
        }
        return payload
    }

    mutating func removeAll() {
        first = nil
        further = []
        index = nil
        isLong = false
        byteCount = 0
        partsTaken = 0
    }
}

/// Where the packets of one queue wait that may be replaced or dropped. A queue has an index from the moment when one of its
/// packets is to give way until the queue is empty, so clients that keep up have none.
///
/// A position counts packets from the moment when the index was made; it stays the same while packets before it leave.
private final class WaitingIndex {
    /// The position of the queue's first packet.
    var start = 0
    /// The position of the packet of each identity of policy `latest`.
    var latest: [UInt64: Int] = [:]
    /// Bytes of the packets of policy `latest`.
    var latestBytes = 0
    /// No packet before this position may be dropped.
    var droppableFrom = 0
    /// Positions whose packets were dropped.
    var holes = 0

    func note(_ packet: EncodedPacket, at position: Int) {
        guard packet.treatment.isLatest else { return }
        latest[packet.treatment.identity] = position
        latestBytes += packet.byteCount
    }

    func forget(_ packet: EncodedPacket, at position: Int) {
        guard packet.treatment.isLatest else { return }
        latestBytes -= packet.byteCount
        if latest[packet.treatment.identity] == position { latest[packet.treatment.identity] = nil }
    }
}

/// Packets that give way to newer ones. A packet of which a poll has taken parts stays.
extension OutgoingQueue {
    /// A packet has given way, or was to, since the queue was last empty.
    var isIndexed: Bool { index != nil }

    /// Places for packets, with those that were dropped.
    var capacity: Int { further.count + 1 }

    /// Bytes of the packets whose policy isn't `latest`; counted once ``makeIndex()`` was called.
    var bytesBesidesLatest: Int { byteCount - (index?.latestBytes ?? 0) }

    /// Indexes the packets that wait. Of packets with the same identity only the newest stays, in the place of the oldest.
    ///
    /// - Returns: how many packets were replaced.
    mutating func makeIndex() -> Int { index == nil ? rebuildIndex() : 0 }

    /// Puts a packet of policy `latest` in the place of the one with its identity.
    ///
    /// - Returns: false if none waits.
    mutating func replace(with packet: EncodedPacket) -> Bool {
        guard let index, let position = index.latest[packet.treatment.identity] else { return false }
        let offset = position - index.start
        guard offset > 0 || partsTaken == 0, let old = self[offset] else { return false }
        if packet.treatment.keepsOrder {
            if offset == 0 {
                _ = popFirst()
            } else {
                index.forget(old, at: position)
                byteCount -= old.byteCount
                self[offset] = nil
                index.holes += 1
            }
            append(packet)
            return true
        }
        self[offset] = packet
        byteCount += packet.byteCount - old.byteCount
        index.latestBytes += packet.byteCount - old.byteCount
        return true
    }

    /// Drops the oldest packets of policy `drop-oldest`, until at most `limit` bytes or `leaving` packets are left.
    ///
    /// - Returns: how many were dropped.
    mutating func dropOldest(downTo limit: Int, leaving: Int) -> Int {
        var dropped = 0
        while byteCount > limit, packetCount > leaving, let index, let position = nextDroppable(index) {
            let offset = position - index.start
            if offset == 0 {
                _ = popFirst()
            } else {
                byteCount -= self[offset]?.byteCount ?? 0
                self[offset] = nil
                index.holes += 1
                // A packet that stays in front would otherwise keep all holes behind it.
                if index.holes > 64, index.holes > further.count / 2 { _ = rebuildIndex() }
            }
            dropped += 1
        }
        // Gives back the memory of the places.
        if dropped > BridgeLimits.keptQueuedPackets { _ = rebuildIndex() }
        return dropped
    }

    private func nextDroppable(_ index: WaitingIndex) -> Int? {
        var position = max(index.droppableFrom, partsTaken > 0 ? index.start + 1 : index.start)
        let end = index.start + (first == nil ? 0 : 1 + further.count)
        while position < end, self[position - index.start]?.treatment.isDropOldest != true { position += 1 }
        index.droppableFrom = position
        return position < end ? position : nil
    }

    /// - Parameter offset: the distance to the first packet.
    private subscript(offset: Int) -> EncodedPacket? {
        get { offset == 0 ? first : further[offset - 1] }
        set { if offset == 0 { first = newValue } else { further[offset - 1] = newValue } }
    }

    private mutating func rebuildIndex() -> Int {
        let packets = further
        let isFirstTaken = partsTaken > 0
        let new = WaitingIndex()
        var replaced = 0
        further = []
        byteCount = first?.byteCount ?? 0
        if let first { new.note(first, at: 0) }
        index = new
        for case let packet? in packets {
            if packet.treatment.isLatest, let offset = new.latest[packet.treatment.identity],
                offset > 0 || !isFirstTaken
            {
                _ = replace(with: packet)
                replaced += 1
            } else {
                append(packet)
            }
        }
        return replaced
    }

    private mutating func popFirst(_ packet: EncodedPacket, _ index: WaitingIndex) {
        index.forget(packet, at: index.start)
        index.start += 1
        first = nil
        while let next = further.popFirst() {
            first = next
            if next != nil { return }
            index.start += 1
            index.holes -= 1
        }
        self.index = nil
    }
}
