import JSONCodec
import Logging
import NIOCore
import PubSubMessages
import SocketIOProtocol

/// What clients may ask for: `join`, `leave`, and the acks of events that asked for one.
///
/// Mirrors the handlers of the original `ws-emit.py`; other events are ignored and acked with `[]`, as its era's
/// python-socketio did.
final class ClientEvents {
    /// A cycle until the shard stops: weak, it would count the shard's references in a slower way, several for each delivery.
    var shard: Shard?
    private let eventLoop: any EventLoop
    private let configuration: BridgeConfiguration
    private let router: RouterReference
    private let logger: Logger
    private var document = JSONDocument(limits: JSONLimits())
    private var hasLargeDocument = false
    /// Joins that wait for an answer from elsewhere, by number: one socket may wait for several of the same room.
    private var pendingJoins: [UInt64: PendingJoin] = [:]
    private var lastJoin: UInt64 = 0

    private struct PendingJoin {
        let request: JoinRequest
        let socket: Socket
        let ackID: Int?
    }

    init(eventLoop: any EventLoop, configuration: BridgeConfiguration, router: RouterReference, logger: Logger) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.router = router
        self.logger = logger
    }

    /// Whether a CONNECT payload is absent or a JSON object (authentication data, of no use here).
    func isObjectOrEmpty(_ json: ArraySlice<UInt8>) throws(SocketIOError) -> Bool {
        if json.isEmpty { return true }
        return try withDocument(json) { document in document.kind(of: document.root) == .object }
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
            if let id = packet.ackID { acknowledge(id, to: socket, "[]") }
        }
    }

    /// The stock client's parser knows names that are texts or numbers.
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
        do throws(JoinRequest.Refusal) {
            let request = try request.get()
            if let space = request.roomSpace {
                try openRoomSpace(space, request, socket, ackID)
            } else if let owner = SessionID.loop(of: request.room, loopCount: router.loopCount) {
                try checkOwner(owner, request, socket, ackID)
            } else {
                enter(request, socket, ackID)
            }
        } catch {
            refuse(error, (try? request.get())?.room, socket, ackID)
        }
    }

    private func openRoomSpace(
        _ space: ByteString, _ request: JoinRequest, _ socket: Socket, _ ackID: Int?
    ) throws(JoinRequest.Refusal) {
        guard let secret = request.secret, !secret.isEmpty else { throw .secretMissing }
        let number = try startWaiting(PendingJoin(request: request, socket: socket, ackID: ackID))
        router.roomSecrets(of: space).hop(to: eventLoop).assumeIsolated().whenComplete {
            self.secretsArrived($0, for: number, secret)
        }
    }

    /// The name looks like a sid: if a client has it, the room is that client's alone.
    private func checkOwner(
        _ loop: Int, _ request: JoinRequest, _ socket: Socket, _ ackID: Int?
    ) throws(JoinRequest.Refusal) {
        if request.room == socket.sid { return enter(request, socket, ackID) }
        let number = try startWaiting(PendingJoin(request: request, socket: socket, ackID: ackID))
        router.hasSocket(request.room, in: socket.namespace.name, loop: loop).hop(to: eventLoop).assumeIsolated()
            .whenComplete { result in
                guard let join = self.stopWaiting(number) else { return }
                if case .success(false) = result { self.enter(join) } else { self.refuse(.ownedRoom, join) }
                self.shard?.flush()
            }
    }

    /// - Returns: the join's number, which tells its answer from those of others.
    private func startWaiting(_ join: PendingJoin) throws(JoinRequest.Refusal) -> UInt64 {
        guard join.socket.pendingJoins.count < configuration.maxPendingJoins else { throw .tooManyPendingJoins }
        lastJoin += 1
        pendingJoins[lastJoin] = join
        join.socket.pendingJoins.append(lastJoin)
        return lastJoin
    }

    /// - Returns: nil when the join was cancelled meanwhile.
    private func stopWaiting(_ number: UInt64) -> PendingJoin? {
        guard let join = pendingJoins.removeValue(forKey: number) else { return nil }
        if let place = join.socket.pendingJoins.firstIndex(of: number) { join.socket.pendingJoins.remove(at: place) }
        return join
    }

    private func enter(_ join: PendingJoin) { enter(join.request, join.socket, join.ackID) }

    private func refuse(_ refusal: JoinRequest.Refusal, _ join: PendingJoin) {
        refuse(refusal, join.request.room, join.socket, join.ackID)
    }

    private func secretsArrived(
        _ secrets: Result<[ByteBuffer], any Error>, for number: UInt64, _ secret: ByteString
    ) {
        guard let join = stopWaiting(number) else { return }
        switch secrets {
        case .failure: refuse(.secretUnavailable, join)
        case .success(let values):
            var isOpen = false
            for value in values where value.readableBytes > 0 {
                // No early exit: the time must not tell which key matched.
                if ConstantTime.areEqual(value.readableBytesView, secret.bytes) { isOpen = true }
            }
            if !isOpen, let space = join.request.roomSpace, values.contains(where: { $0.readableBytesView.last == 0x0A }) {
                router.secretDiffersByLineFeed(in: space)
            }
            if isOpen { enter(join) } else { refuse(.secretWrong, join) }
        }
        shard?.flush()
    }

    /// A client leaves a room, by itself or by a backend's order: its joins of that room which still wait are refused.
    func cancelJoins(of socket: Socket, room: ByteString) {
        for number in socket.pendingJoins where pendingJoins[number]?.request.room == room {
            if let join = stopWaiting(number) { acknowledge(.leftMeanwhile, join.socket, join.ackID) }
        }
    }

    /// A client leaves its namespace: all of its joins that still wait are refused.
    func cancelJoins(of socket: Socket) {
        for number in socket.pendingJoins {
            if let join = stopWaiting(number) { acknowledge(.disconnectedMeanwhile, join.socket, join.ackID) }
        }
    }

    /// A room is closed. A secret that was read before doesn't open it afterwards: who changes a secret and closes the room
    /// has put everybody out.
    func cancelJoins(room: ByteString, namespace: ByteString) {
        let numbers = pendingJoins.filter {
            $0.value.request.room == room && $0.value.socket.namespace.name == namespace
        }.keys.sorted()
        for number in numbers {
            if let join = stopWaiting(number) { acknowledge(.closedMeanwhile, join.socket, join.ackID) }
        }
    }

    private func enter(_ request: JoinRequest, _ socket: Socket, _ ackID: Int?) {
        guard let shard else { return }
        let room = request.room
        // Checked here, since others may have been entered while this join waited.
        if room != socket.sid {
            guard shard.registry.mayEnter(socket, room: room, limit: configuration.maxRoomsPerSocket) else {
                return refuse(.tooManyRooms, room, socket, ackID)
            }
            shard.registry.enter(socket, room: room)
        }
        if request.wantsGaps { socket.wantsGaps = true }
        shard.counters.joins += 1
        guard let ackID else { return }
        shard.whenRoutable { self.acknowledge(ackID, to: socket, #"[{"ok":true}]"#) }
    }

    private func refuse(
        _ refusal: JoinRequest.Refusal, _ room: ByteString?, _ socket: Socket, _ ackID: Int?
    ) {
        if refusal == .tooManyRooms { shard?.counters.roomLimitReached += 1 }
        if refusal == .tooManyPendingJoins { shard?.counters.pendingJoinLimitReached += 1 }
        socket.session.refused(
            ClientRefusal(
                .joinRefused, ByteString(refusal.rawValue), namespace: socket.namespace.name, room: room ?? ""))
        shard?.counters.joinsRefused += 1
        logger.debug("join refused", metadata: ["sid": "\(socket.sid)", "reason": "\(refusal.rawValue)"])
        acknowledge(refusal, socket, ackID)
    }

    private func acknowledge(_ refusal: JoinRequest.Refusal, _ socket: Socket, _ ackID: Int?) {
        guard let ackID else { return }
        var writer = JSONWriter()
        writer.append(#"[{"ok":false,"error":"#)
        ByteString(refusal.rawValue).withUnsafeBytes { writer.appendString(wtf8: $0) }
        writer.append("}]")
        acknowledge(ackID, to: socket, writer)
    }

    // MARK: leave

    private func leave(_ request: Result<JoinRequest, JoinRequest.Refusal>, by socket: Socket, ackID: Int?) {
        switch request {
        case .failure(let refusal): acknowledge(refusal, socket, ackID)
        case .success(let request) where request.room == socket.sid: acknowledge(.notAllowed, socket, ackID)
        case .success(let request):
            cancelJoins(of: socket, room: request.room)
            shard?.registry.leave(socket, room: request.room)
            if let ackID { acknowledge(ackID, to: socket, #"[{"ok":true}]"#) }
        }
    }

    // MARK: Acks

    private func acknowledge(_ id: Int, to socket: Socket, _ json: StaticString) {
        var writer = JSONWriter()
        writer.append(json)
        acknowledge(id, to: socket, writer)
    }

    private func acknowledge(_ id: Int, to socket: Socket, _ json: borrowing JSONWriter) {
        // Also to one that has left its namespace meanwhile: its page may still wait for the ack.
        var packet = JSONWriter()
        SocketIOPacketWriter.writeHead(.ack, namespace: socket.namespace.name, ackID: id, to: &packet)
        json.withUnsafeBytes { packet.append(raw: $0) }
        socket.session.enqueueSolicited(packet.withUnsafeBytes { EncodedPacket(text: $0) })
    }

    /// A client's answer to an event with a callback: back to the emitter, over Redis.
    func receivedAck(_ message: SocketIOPacketAssembler.Message, from socket: Socket) throws(SocketIOError) {
        let isArray = try withDocument(message.packet.json) { document in
            document.kind(of: document.root) == .array
        }
        guard isArray else { throw .payload }
        guard let id = message.packet.ackID, let address = socket.takeAck(id) else {
            return logger.debug("ack of an event that asked for none", metadata: ["sid": "\(socket.sid)"])
        }
        router.publishAnswer(to: address, json: Array(message.packet.json), attachments: message.attachments)
    }

    /// Gives the memory back that large packets took.
    func giveMemoryBack() {
        guard hasLargeDocument else { return }
        hasLargeDocument = false
        document = JSONDocument(limits: JSONLimits())
    }

    private func withDocument<R>(
        _ json: ArraySlice<UInt8>, _ body: (borrowing JSONDocument) -> R
    ) throws(SocketIOError) -> R {
        var result: R?
        if json.count > 64 << 10 { hasLargeDocument = true }
        json.withUnsafeBytes { bytes in
            do {
                try document.parse(bytes)
                result = body(document)
            } catch {
                result = nil
            }
        }
        guard let result else { throw .json }
        return result
    }
}
