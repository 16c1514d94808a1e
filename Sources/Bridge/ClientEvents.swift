import Bytes
import JSONCodec
import Logging
import NIOCore
import PubSubMessages
import SocketIOProtocol

/// Handles the events of clients: `join`, `leave`, and acks.
///
/// Mirrors the handlers of the original `ws-emit.py`. Other events are ignored and acked with `[]`, as python-socketio did at
/// that time.
final class ClientEvents {
    /// A reference cycle until the shard stops. A weak reference would make every retain of the shard slower, several for each
    /// delivery.
    var shard: Shard?
    private let eventLoop: any EventLoop
    private let configuration: BridgeConfiguration
    private let router: RouterReference
    private let logger: Logger
    private var document = JSONDocument(limits: JSONLimits())
    private var hasLargeDocument = false
    private var pendingJoins = PendingJoins()
    private let loopIndex: Int

    init(
        eventLoop: any EventLoop, loopIndex: Int, configuration: BridgeConfiguration, router: RouterReference,
        logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.loopIndex = loopIndex
        self.configuration = configuration
        self.router = router
        self.logger = logger
    }

    /// True if a CONNECT payload is absent or a JSON object (authentication data, which is not used here).
    func isObjectOrEmpty(_ json: ArraySlice<UInt8>) throws(SocketIOError) -> Bool {
        if json.isEmpty { return true }
        return try withDocument(json) { document in document.kind(of: document.root) == .object }
    }

    /// The connection that a CONNECT asks to recover, in the fields that the stock client adds; nil for a new one.
    func recoveryRequest(in json: ArraySlice<UInt8>) throws(SocketIOError) -> RecoveryRequest? {
        if json.isEmpty { return nil }
        return try withDocument(json) { RecoveryRequest(authentication: $0) }
    }

    func received(_ packet: SocketIOPacket, from socket: Socket) throws(SocketIOError) {
        let event = try withDocument(packet.json) { document -> Event in
            guard document.kind(of: document.root) == .array,
                let name = document.elements(of: document.root).first(where: { _ in true }),
                Self.isEventName(document.kind(of: name))
            else { return .invalid }
            let request = Result { () throws(JoinRequest.Refusal) -> JoinRequest in
                try JoinRequest(arguments: document, maxNameBytes: configuration.maxNameBytes)
            }
            switch document.byteString(name) {
            case ByteString("join"): return .join(request)
            case ByteString("leave"): return .leave(request)
            case let name: return .other(name)
            }
        }
        switch event {
        case .invalid: throw .payload
        case .join(let request): join(request, by: socket, ackID: packet.ackID)
        case .leave(let request): leave(request, by: socket, ackID: packet.ackID)
        case .other(let name):
            socket.session.refused(
                ClientRefusal(.unhandledEvent, name ?? "(a number)", namespace: socket.namespace.name))
            if let id = packet.ackID { socket.acknowledge(id, "[]") }
        }
    }

    /// The stock client's parser accepts texts and numbers as names.
    private static func isEventName(_ kind: JSONDocument.Kind) -> Bool {
        kind == .string || kind == .integer || kind == .float
    }

    private enum Event {
        case join(Result<JoinRequest, JoinRequest.Refusal>)
        case leave(Result<JoinRequest, JoinRequest.Refusal>)
        /// With its name, nil for a number.
        case other(ByteString?)
        case invalid
    }

    // MARK: join

    private func join(_ request: Result<JoinRequest, JoinRequest.Refusal>, by socket: Socket, ackID: Int?) {
        let join: PendingJoin
        switch request {
        case .failure(let refusal): return refuse(refusal, nil, socket, ackID)
        case .success(let request): join = PendingJoin(request: request, socket: socket, ackID: ackID)
        }
        do throws(JoinRequest.Refusal) {
            if let space = join.request.roomSpace {
                try openRoomSpace(space, join)
            } else if let owner = SessionID.loop(of: join.request.room, loopCount: router.loopCount) {
                try checkOwner(owner, join)
            } else {
                enter(join)
            }
        } catch {
            refuse(error, join)
        }
    }

    private func openRoomSpace(_ space: ByteString, _ join: PendingJoin) throws(JoinRequest.Refusal) {
        guard let secret = join.request.secret, !secret.isEmpty else { throw .secretMissing }
        let number = try pendingJoins.add(join, limit: configuration.maxPendingJoins)
        router.roomSecrets(of: space).hop(to: eventLoop).assumeIsolated().whenComplete {
            self.secretsArrived($0, for: number, secret)
        }
    }

    /// The name looks like a sid. If a client has this sid, the room is that client's alone.
    private func checkOwner(_ loop: Int, _ join: PendingJoin) throws(JoinRequest.Refusal) {
        let (room, socket) = (join.request.room, join.socket)
        if room == socket.sid { return enter(join) }
        let number = try pendingJoins.add(join, limit: configuration.maxPendingJoins)
        router.hasSocket(room, in: socket.namespace.name, loop: loop).hop(to: eventLoop).assumeIsolated()
            .whenComplete { result in
                guard let join = self.pendingJoins.take(number) else { return }
                if case .success(false) = result { self.enter(join) } else { self.refuse(.ownedRoom, join) }
                self.shard?.flush()
            }
    }

    private func secretsArrived(
        _ secrets: Result<[ByteBuffer], any Error>, for number: UInt64, _ secret: ByteString
    ) {
        guard let join = pendingJoins.take(number) else { return }
        switch secrets {
        case .failure: refuse(.secretUnavailable, join)
        case .success(let values):
            let isOpen = RoomSecrets.opens(values, with: secret)
            if !isOpen, let space = join.request.roomSpace,
                values.contains(where: { $0.readableBytesView.last == 0x0A })
            {
                router.secretDiffersByLineFeed(in: space)
            }
            if isOpen, let space = join.request.roomSpace { join.socket.recovery?.secrets[space] = secret }
            if isOpen { enter(join) } else { refuse(.secretWrong, join) }
        }
        shard?.flush()
    }

    /// A client leaves a room, by itself or by a backend's order: refuses its pending joins of that room.
    func cancelJoins(of socket: Socket, room: ByteString) {
        for join in pendingJoins.takeAll(of: socket, room: room) { join.socket.acknowledge(join.ackID, .leftMeanwhile) }
    }

    /// A client leaves its namespace: refuses all of its pending joins.
    func cancelJoins(of socket: Socket) {
        for join in pendingJoins.takeAll(of: socket) { join.socket.acknowledge(join.ackID, .disconnectedMeanwhile) }
    }

    /// A room is closed. A secret that was read before doesn't open the room afterwards: changing the secret and closing the
    /// room puts everybody out.
    func cancelJoins(room: ByteString, namespace: ByteString) {
        for join in pendingJoins.takeAll(room: room, namespace: namespace) {
            join.socket.acknowledge(join.ackID, .closedMeanwhile)
        }
    }

    /// A join is permitted. It goes through the router, so that it has one place among the messages: the client gets what is
    /// kept of the earlier ones, and then each later one.
    private func enter(_ join: PendingJoin) {
        let (room, socket) = (join.request.room, join.socket)
        // Its own room, which is never left, and in which nothing is kept.
        if room == socket.sid { return joined(join, kept: []) }
        do throws(JoinRequest.Refusal) {
            let limit = max(configuration.maxRoomsPerSocket, configuration.maxPendingJoins)
            let number = try pendingJoins.add(join, limit: limit)
            router.join(
                Join(number: number, sid: socket.sid, namespace: socket.namespace.name, room: room),
                from: eventLoop, loop: loopIndex)
        } catch {
            refuse(error, join)
        }
    }

    /// A join is back from the router.
    func joinArrived(_ arrived: Join) {
        guard let shard, let join = pendingJoins.take(arrived.number) else { return }
        // Checked here, since the client may have entered other rooms while this join waited.
        guard shard.registry.mayEnter(join.socket, room: arrived.room, limit: configuration.maxRoomsPerSocket) else {
            return refuse(.tooManyRooms, join)
        }
        shard.registry.enter(join.socket, room: arrived.room)
        joined(join, kept: arrived.kept)
    }

    private func joined(_ join: PendingJoin, kept: [EncodedPacket]) {
        if join.request.wantsGaps { join.socket.wantsGaps = true }
        shard?.sessions.counters.joins += 1
        if let ackID = join.ackID { join.socket.acknowledge(ackID, keptCount: kept.count) }
        shard?.give(kept, to: join.socket)
    }

    private func refuse(_ refusal: JoinRequest.Refusal, _ join: PendingJoin) {
        refuse(refusal, join.request.room, join.socket, join.ackID)
    }

    private func refuse(
        _ refusal: JoinRequest.Refusal, _ room: ByteString?, _ socket: Socket, _ ackID: Int?
    ) {
        if refusal == .tooManyRooms { shard?.sessions.counters.roomLimitReached += 1 }
        if refusal == .tooManyPendingJoins { shard?.sessions.counters.pendingJoinLimitReached += 1 }
        socket.session.refused(
            ClientRefusal(
                .joinRefused, ByteString(refusal.rawValue), namespace: socket.namespace.name, room: room ?? ""))
        shard?.sessions.counters.joinsRefused += 1
        logger.debug("join refused", metadata: ["sid": "\(socket.sid)", "reason": "\(refusal.rawValue)"])
        socket.acknowledge(ackID, refusal)
    }

    // MARK: leave

    private func leave(_ request: Result<JoinRequest, JoinRequest.Refusal>, by socket: Socket, ackID: Int?) {
        switch request {
        case .failure(let refusal): socket.acknowledge(ackID, refusal)
        case .success(let request) where request.room == socket.sid: socket.acknowledge(ackID, .notAllowed)
        case .success(let request):
            cancelJoins(of: socket, room: request.room)
            shard?.registry.leave(socket, room: request.room)
            if let ackID { socket.acknowledge(ackID, #"[{"ok":true}]"#) }
        }
    }

    // MARK: Acks

    /// Sends a client's ack back to the emitter, over Redis.
    func receivedAck(_ message: SocketIOPacketAssembler.Message, from socket: Socket) throws(SocketIOError) {
        let isArray = try withDocument(message.packet.json) { document in
            document.kind(of: document.root) == .array
        }
        guard isArray else { throw .payload }
        guard let id = message.packet.ackID, let address = socket.owedAcks.take(id) else {
            return logger.debug("ack of an event that asked for none", metadata: ["sid": "\(socket.sid)"])
        }
        router.publishAck(to: address, json: Array(message.packet.json), attachments: message.attachments)
    }

    /// Gives back the memory that large packets took.
    func giveMemoryBack() {
        guard hasLargeDocument else { return }
        hasLargeDocument = false
        document = JSONDocument(limits: JSONLimits())
    }

    private func withDocument<R>(
        _ json: ArraySlice<UInt8>, _ body: (borrowing JSONDocument) -> R
    ) throws(SocketIOError) -> R {
        var result: R?
        if json.count > BridgeLimits.keptDocumentBytes { hasLargeDocument = true }
        unsafe json.withUnsafeBytes { bytes in
            do {
                try unsafe document.parse(bytes)
                result = body(document)
            } catch {
                result = nil
            }
        }
        guard let result else { throw .json }
        return result
    }
}
