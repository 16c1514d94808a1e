import DequeModule
import NIOCore
import SocketIOProtocol

/// Packets waiting for one client's transport, oldest first.
struct OutgoingQueue {
    private var packets: Deque<EncodedPacket> = []
    /// Parts of the oldest packet that an earlier poll has taken.
    private var partsTaken = 0
    /// Bytes of the packets in the queue, each counted whole until its last part is gone.
    private(set) var byteCount = 0

    var isEmpty: Bool { packets.isEmpty }
    var packetCount: Int { packets.count }

    mutating func append(_ packet: EncodedPacket) {
        packets.append(packet)
        byteCount += packet.byteCount
    }

    /// Frames for one write to a websocket: the oldest packet as it is, or several small ones joined in `scratch`.
    ///
    /// A client that upgrades has read every part of what its last poll began, or gets the rest as frames.
    mutating func popFrames(joining scratch: inout ByteBuffer) -> ByteBuffer? {
        guard let first = popFrames() else { return nil }
        guard let next = packets.first, first.readableBytes + next.byteCount <= Self.joinLimitBytes else {
            return first
        }
        scratch.clear(minimumCapacity: Self.joinLimitBytes)
        scratch.writeImmutableBuffer(first)
        while let next = packets.first, scratch.readableBytes + next.byteCount <= Self.joinLimitBytes {
            guard let frames = popFrames() else { break }
            scratch.writeImmutableBuffer(frames)
        }
        return scratch
    }

    /// Copying up to this many bytes costs less than the system call that it saves.
    private static let joinLimitBytes = 16 << 10

    private mutating func popFrames() -> ByteBuffer? {
        guard let packet = packets.popFirst() else { return nil }
        byteCount -= packet.byteCount
        defer { partsTaken = 0 }
        return packet.frames(from: partsTaken)
    }

    /// Moves at most 16 packets into one polling payload; python clients refuse more.
    mutating func popPayload(allocator: ByteBufferAllocator) -> ByteBuffer {
        var payload = allocator.buffer(capacity: min(byteCount, 1 << 16))
        var taken = 0
        while taken < EngineIOPayload.maximumPacketsInAnswer, let packet = packets.first {
            if taken > 0 { payload.writeInteger(EngineIOPayload.separator) }
            packet.appendPart(partsTaken, to: &payload)
            partsTaken += 1
            taken += 1
            if partsTaken == packet.partCount {
                byteCount -= packet.byteCount
                partsTaken = 0
                packets.removeFirst()
            }
        }
        return payload
    }

    mutating func removeAll() {
        packets = []
        byteCount = 0
        partsTaken = 0
    }
}
