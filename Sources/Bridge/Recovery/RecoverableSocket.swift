import Bytes
import JSONCodec
import PubSubMessages

/// What is kept of a socket so that its connection can be recovered, as it goes from one event loop to another.
struct RecoverableSocket: Sendable {
    let sid: ByteString
    /// Known to the client alone.
    let pid: ByteString
    let namespace: ByteString
    /// Events up to this one were sent before the socket connected.
    let start: RecoveryOffset
    /// The client has got everything that was sent to it up to this position.
    let confirmed: RecoveryOffset
    /// Before this position the socket was given kept messages, which aren't in the log.
    let completeSince: RecoveryOffset
    /// Its rooms; what was sent to them up to `since` is not for this socket.
    var rooms: [(name: ByteString, since: RecoveryOffset)]
    /// Rooms that a backend has taken it out of.
    var formerRooms: [FormerRoom]
    let wantsGaps: Bool
    /// The secrets by which it has entered room-spaces.
    let secrets: [ByteString: ByteString]
    let owedAcks: OwedAcks

    struct FormerRoom: Sendable {
        let name: ByteString
        let since: RecoveryOffset
        let until: RecoveryOffset
    }

    /// Takes the socket out of a room at a position, as a backend says.
    mutating func leave(_ room: ByteString, at offset: RecoveryOffset) {
        guard let index = rooms.firstIndex(where: { $0.name == room }) else { return }
        formerRooms.append(FormerRoom(name: room, since: rooms[index].since, until: offset))
        rooms.remove(at: index)
    }

    mutating func enter(_ room: ByteString, at offset: RecoveryOffset) {
        if !rooms.contains(where: { $0.name == room }) { rooms.append((room, offset)) }
    }
}

/// A recovered socket and what its client has missed, for the event loop of the client's session.
struct RestoredSocket: Sendable {
    /// The request's number on that event loop.
    let number: UInt64
    let socket: RecoverableSocket
    let offset: RecoveryOffset
    let missed: [EncodedPacket]
}

/// What a client's CONNECT asks for: the connection of this pid, and what came after an event.
struct RecoveryRequest: Sendable, Equatable {
    let pid: ByteString
    /// The position of the last event that the client has got; nil if it has got none.
    let offset: Offset

    enum Offset: Equatable {
        /// The client has got no event.
        case none
        case event(RecoveryOffset)
        /// A text that can't be one of ours.
        case unknown
    }

    /// Nil if there is no pid that could be ours.
    init?(authentication document: borrowing JSONDocument) {
        let root = document.root
        guard document.kind(of: root) == .object,
            let pid = document.value(forKey: "pid", in: root).flatMap({ document.byteString($0) }),
            pid.count == SessionID.length
        else { return nil }
        self.pid = pid
        guard let offset = document.value(forKey: "offset", in: root) else {
            self.offset = .none
            return
        }
        self.offset = document.byteString(offset).flatMap { RecoveryOffset($0) }.map { .event($0) } ?? .unknown
    }
}

/// How an attempt to recover a connection ended: the values of the label `result`.
enum RecoveryResult: Int, CountedCase, Error {
    case recovered
    /// The pid is of another instance, from before a restart, or its time is over.
    case unknownPid
    /// The pid belongs to another namespace.
    case otherNamespace
    /// The offset is none of this server.
    case unknownOffset
    /// The log doesn't reach back that far, or too much was missed.
    case logTooShort
    /// Messages may have been missed by this server: the subscription was lost meanwhile.
    case subscriptionGap
    /// Secrets can't be checked now.
    case secretUnavailable
    /// A backend has disconnected the client meanwhile.
    case disconnected
    /// The connection is being recovered by another request, or too many are.
    case busy
}

/// The part of a connected or parked socket that recovery needs.
final class RecoveryState {
    let pid: ByteString
    /// Events up to this one were sent before the socket connected.
    var start: RecoveryOffset
    /// Positions at which it entered its rooms.
    var since: [ByteString: RecoveryOffset] = [:]
    var formerRooms: [RecoverableSocket.FormerRoom] = []
    var completeSince = RecoveryOffset.none
    var secrets: [ByteString: ByteString] = [:]
    /// Its number among the parked sockets; nil while its client is connected.
    var parkedNumber: UInt64?
    /// A request waits for the router's word on it.
    var isRequested = false
    /// Its sid and pid name another event loop, and the router knows that it is here.
    var isMoved = false

    init(pid: ByteString, start: RecoveryOffset) {
        self.pid = pid
        self.start = start
    }

    /// A backend has taken the socket out of a room. The oldest such rooms are forgotten, and then their messages can't be recovered.
    func left(_ room: ByteString, at offset: RecoveryOffset) {
        guard let since = since.removeValue(forKey: room) else { return }
        if formerRooms.count >= BridgeLimits.formerRooms {
            completeSince = max(completeSince, formerRooms.removeFirst().until)
        }
        formerRooms.append(RecoverableSocket.FormerRoom(name: room, since: since, until: offset))
    }
}

/// The part of a session that recovery needs.
final class SessionRecovery {
    /// Namespaces whose connections are being recovered, with the numbers of the requests.
    var pending: [(namespace: ByteString, number: UInt64)] = []
    /// The last event before the latest ping.
    var pingPosition = RecoveryOffset.none
    /// The client has got everything up to this event, since it has sent the pong to a later ping.
    private(set) var confirmedPosition = RecoveryOffset.none

    private var pollTimestamp: ByteString?

    /// Browsers repeat a GET by themselves if its connection breaks, and what was sent in response to it is lost. So the session has
    /// to end, although the client hasn't noticed anything: it comes back for what it has missed.
    func isRepeated(_ poll: PendingPoll) -> Bool {
        guard let timestamp = poll.timestamp else { return false }
        defer { pollTimestamp = timestamp }
        return timestamp == pollTimestamp
    }

    func pongArrived() { confirmedPosition = max(confirmedPosition, pingPosition) }

    /// Packets from after a position follow. A pong to an earlier ping says nothing of them.
    func restored(after offset: RecoveryOffset) {
        pingPosition = .none
        confirmedPosition = min(confirmedPosition, offset)
    }
}
