import JSONCodec
import PubSubMessages

/// One namespace of one session: what Socket.IO calls a socket. It has its own sid and is in its own rooms.
final class Socket {
    struct Membership {
        let room: Room
        /// Index of this socket in `room.members`.
        var index: Int
    }

    let sid: ByteString
    let namespace: Namespace
    /// A cycle until the session lets go of its sockets, when it closes.
    let session: Session
    /// `namespace.everyone` stands among them, so none means disconnected.
    var memberships: ContiguousArray<Membership> = []
    /// The delivery that reached this socket last, so that a list of rooms reaches it once.
    @exclusivity(unchecked) var lastDelivery: UInt64 = 0
    /// Whether its page wants to hear of times in which messages may have been missed.
    var wantsGaps = false
    /// The numbers of its joins that wait for an answer from elsewhere, oldest first; `ClientEvents` has the joins.
    var pendingJoins: [UInt64] = []
    private var lastAckID = 0
    private var pendingAcks: [(id: Int, address: CallbackAddress)] = []

    init(sid: ByteString, namespace: Namespace, session: Session) {
        self.sid = sid
        self.namespace = namespace
        self.session = session
    }

    /// Whether it has left its namespace, with its rooms.
    var isDisconnected: Bool { memberships.isEmpty }

    /// The id under which this socket's client will answer; counts from 1 per sid, as python-socketio's do.
    ///
    /// - Returns: the id, and whether an older answer had to be given up to stay within `limit`.
    func expectAck(for address: CallbackAddress, limit: Int) -> (id: Int, forgotOne: Bool) {
        lastAckID += 1
        let forgets = pendingAcks.count >= limit
        if forgets { pendingAcks.removeFirst() }
        pendingAcks.append((lastAckID, address))
        return (lastAckID, forgets)
    }

    func takeAck(_ id: Int) -> CallbackAddress? {
        guard let index = pendingAcks.firstIndex(where: { $0.id == id }) else { return nil }
        return pendingAcks.remove(at: index).address
    }
}
