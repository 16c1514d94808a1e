import Bytes
import PubSubMessages

/// One event for the sockets of an event loop.
struct Delivery: Sendable {
    enum Content: Sendable {
        /// The same packet for everybody.
        case packet(EncodedPacket)
        /// A packet with its own ack id for each socket; acks go to the address.
        case expectingAck(EventBody, CallbackAddress)
    }

    let namespace: ByteString
    let rooms: PubSubMessage.Rooms
    /// Sids that don't get the event.
    let skip: [ByteString]
    let content: Content
    /// The position of the last event in the packet; of none without recovery, and of packets that aren't logged.
    var offset = RecoveryOffset.none
}

/// A join of a client, on its way back from the router.
struct Join: Sendable {
    /// Its number in ``PendingJoins``.
    let number: UInt64
    let sid: ByteString
    let namespace: ByteString
    let room: ByteString
    /// The kept messages of the room, for this client alone.
    var kept: [EncodedPacket] = []
}

/// Tells pages of a gap in which messages may have been missed.
struct GapAnnouncement: Sendable {
    let event: EventBody
    /// For pages in rooms that keep messages: the current ones follow.
    let eventWithKept: EventBody
    var keptRooms: Set<KeptMessages.RoomName> = []
}

/// The kept messages of one room.
struct KeptPackets: Sendable {
    let room: KeptMessages.RoomName
    let packets: [EncodedPacket]
}

/// A command of the router to an event loop. Commands are carried out in the order of the messages.
enum ShardCommand: Sendable {
    case deliver(Delivery)
    case disconnect(sid: ByteString, namespace: ByteString)
    case enterRoom(sid: ByteString, room: ByteString, namespace: ByteString)
    /// A client's join has reached its place among the messages.
    case join(Join)
    case leaveRoom(sid: ByteString, room: ByteString, namespace: ByteString)
    case closeRoom(room: ByteString, namespace: ByteString)
    /// Look up a room and tell the router.
    case canary(id: Int64)
    /// Tell the pages that asked about a gap.
    case announceGap(GapAnnouncement)
    /// The kept messages are those of all servers again after a gap: ask the router for those of the rooms of the pages that
    /// asked about gaps.
    case keptMessagesAreCurrent
    /// Give them to these pages.
    case giveKept([KeptPackets])
    /// Give kept messages of a room to a socket in it: one that a backend has made enter it, or that joined before they were
    /// read from Redis.
    case giveKeptTo(sid: ByteString, KeptPackets)
    /// The following command stands behind every event up to this one.
    case position(RecoveryOffset)
    /// Connect a recovered socket. Indirect, since it would make every command four times as large.
    indirect case restore(RestoredSocket)
    /// Drop the parked socket of a pid: it has been recovered elsewhere or never will be.
    case dropParked(pid: ByteString)
}
