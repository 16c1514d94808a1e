import DequeModule
import NIOCore
import SocketIOProtocol

/// Packets waiting for one client's transport, oldest first.
struct OutgoingQueue {
    /// The oldest packet. It is mostly the only one, and then the queue needs no other memory.
    private var first: EncodedPacket?
    private var further: Deque<EncodedPacket> = []
    /// Parts of the oldest packet that an earlier poll has taken.
    private var partsTaken = 0
    /// Bytes of the packets in the queue; a packet counts as a whole until its last part is gone.
    private(set) var byteCount = 0
    /// `further` has more memory than a client that keeps up needs.
    private var isLong = false

    var isEmpty: Bool { first == nil }
    var packetCount: Int { first == nil ? 0 : 1 + further.count }

    mutating func append(_ packet: EncodedPacket) {
        if first == nil {
            first = packet
        } else {
            further.append(packet)
            if further.count > BridgeLimits.keptQueuedPackets { isLong = true }
        }
        byteCount += packet.byteCount
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
        return packet.frames(from: partsTaken)
    }

    private mutating func popFirst() -> EncodedPacket? {
        guard let packet = first else { return nil }
        first = further.popFirst()
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
            taken == 0 || payload.readableBytes + packet.partByteCount(partsTaken) <= BridgeLimits.pollResponseBytes
        {
            if taken > 0 { payload.writeInteger(EngineIOPayload.separator) }
            packet.appendPart(partsTaken, to: &payload)
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
        isLong = false
        byteCount = 0
        partsTaken = 0
    }
}
