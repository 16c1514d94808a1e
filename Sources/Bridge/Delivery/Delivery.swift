import JSONCodec
import PubSubMessages

/// One event on its way to the sockets of an event loop.
struct Delivery: Sendable {
    enum Content: Sendable {
        /// The same packet for everybody.
        case packet(EncodedPacket)
        /// A packet with an ack id of its own for each socket; answers go to the address.
        case expectingAck(EventBody, CallbackAddress)
    }

    let namespace: ByteString
    let rooms: PubSubMessage.Rooms
    /// Sids that don't get it.
    let skip: [ByteString]
    let content: Content
}

/// What the router asks of an event loop, in the order of the messages.
enum ShardCommand: Sendable {
    case deliver(Delivery)
    case disconnect(sid: ByteString, namespace: ByteString)
    case enterRoom(sid: ByteString, room: ByteString, namespace: ByteString)
    case leaveRoom(sid: ByteString, room: ByteString, namespace: ByteString)
    case closeRoom(room: ByteString, namespace: ByteString)
    /// Look up a room and tell the router.
    case canary(id: Int64)
    /// Tell those who asked of a time in which messages may have been missed.
    case announceGap(EventBody)
}
