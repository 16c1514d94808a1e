import DequeModule
import NIOCore
import SocketIOProtocol

/// Packets waiting for one client's transport, oldest first.
struct OutgoingQueue {
    /// The oldest packet, which is mostly the only one: it takes no memory elsewhere.
    private var first: EncodedPacket?
    private var further: Deque<EncodedPacket> = []
    /// Parts of the oldest packet that an earlier poll has taken.
    private var partsTaken = 0
    /// Bytes of the packets in the queue, each counted whole until its last part is gone.
    private(set) var byteCount = 0
    /// `further` holds memory that a client which keeps up doesn't need.
    private var isLong = false
    /// Packets for which memory is kept.
    private static let keptCapacity = 1024

    var isEmpty: Bool { first == nil }
    var packetCount: Int { first == nil ? 0 : 1 + further.count }

    mutating func append(_ packet: EncodedPacket) {
        if first == nil {
            first = packet
        } else {
            further.append(packet)
            if further.count > Self.keptCapacity { isLong = true }
        }
        byteCount += packet.byteCount
    }

    /// Frames for one write to a websocket: the oldest packet as it is, or several small ones joined in `scratch`.
    ///
    /// A client that upgrades has read every part of what its last poll began, or gets the rest as frames.
    mutating func popFrames(joining scratch: inout ByteBuffer) -> ByteBuffer? {
        guard let frames = popFrames() else { return nil }
        guard let next = first, frames.readableBytes + next.byteCount <= Self.joinLimitBytes else { return frames }
        scratch.clear(minimumCapacity: Self.joinLimitBytes)
        scratch.writeImmutableBuffer(frames)
        while let next = first, scratch.readableBytes + next.byteCount <= Self.joinLimitBytes {
            guard let frames = popFrames() else { break }
            scratch.writeImmutableBuffer(frames)
        }
        return scratch
    }

    /// Copying up to this many bytes costs less than the system call that it saves.
    private static let joinLimitBytes = 16 << 10

    private static let payloadLimitBytes = 1 << 20

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

    /// Moves at most 16 packets into one polling payload, since python clients refuse more; no further one beyond 1 MiB, since
    /// each client's payload is a copy.
    mutating func popPayload(allocator: ByteBufferAllocator) -> ByteBuffer {
        var payload = allocator.buffer(capacity: min(byteCount, 1 << 16))
        var taken = 0
        while taken < EngineIOPayload.maximumPacketsInPayload, let packet = first,
            taken == 0 || payload.readableBytes + packet.partByteCount(partsTaken) <= Self.payloadLimitBytes
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
