import JSONCodec
import Logging
import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// A GET that waits for packets, on whatever loop its connection lives.
struct PendingPoll {
    /// Names the request, so that a late abort of an earlier one does no harm.
    let id: UInt64
    let jsonpIndex: Int?
    let promise: EventLoopPromise<HTTPResponse>
}

/// One Engine.IO session on its event loop: the queue of packets, the transport that takes them, its sockets.
final class Session: UnfinishedInput, WebSocketOwner {
    // What a delivery reads stands first, in two cache lines: at thousands of clients each line is one from memory.
    let shard: Shard
    /// The websocket that carries the session or probes to.
    @exclusivity(unchecked) private var webSocket: WebSocketConnection?
    @exclusivity(unchecked) private var queue = OutgoingQueue()
    @exclusivity(unchecked) private var isTouched = false
    /// CONNECT answers that wait until the router knows their sockets. Nothing leaves meanwhile: the answer must be
    /// the first packet of its namespace.
    @exclusivity(unchecked) private var unroutableConnects = 0
    @exclusivity(unchecked) private var engine: EngineIOSession

    let sid: ByteString
    /// Place in `shard.sessions`.
    var index = 0
    private(set) var sockets: [Socket] = []
    private var assembler: SocketIOPacketAssembler
    private var hasEverConnected = false
    var unfinishedBytes: UInt32 = 0
    /// Bytes of answers to this client's own packets since its queue was last seen empty.
    private var solicitedBytes: UInt32 = 0
    /// Bytes of the last answer to a poll, which takes its time on the way.
    private var payloadBytes: UInt32 = 0
    /// Set while much waits and the client takes nothing of it.
    private var stall: Stall?

    private final class Stall {
        let since: EngineIOSession.Instant
        /// What its websocket had not sent then.
        let unsentBytes: Int

        init(since: EngineIOSession.Instant, unsentBytes: Int) {
            self.since = since
            self.unsentBytes = unsentBytes
        }
    }
    private var poll: PendingPoll?

    init(sid: ByteString, shard: Shard, transport: EngineIORequest.Transport, at now: EngineIOSession.Instant) {
        self.sid = sid
        self.shard = shard
        engine = EngineIOSession(transport: transport, timing: shard.configuration.timing, at: now)
        assembler = SocketIOPacketAssembler(maximumBytes: shard.configuration.maxPayload)
    }

    var isClosed: Bool { engine.phase == .closed }

    // MARK: Outgoing

    /// Queues a packet; it leaves at the next `shard.flush()`.
    func enqueue(_ packet: EncodedPacket) {
        guard !isClosed else { return }
        let waiting = queue.byteCount + (webSocket?.unsentBytes ?? 0)
        if waiting > 0, waiting + packet.byteCount > shard.queueLimit, !mayQueueBeyondLimit {
            return closeAsTooSlow(
                "client too slow, transport closed: raise --max-queue, or emit less", waitingBytes: waiting,
                limit: shard.queueLimit)
        }
        shard.counters.packetsQueued += 1
        queue.append(packet)
        touch()
    }

    /// Two messages fit the default bound also where their JSON is longer than the messages.
    private var mayQueueBeyondLimit: Bool { shard.configuration.maxQueuedBytes == nil && queue.packetCount < 2 }

    /// Queues a packet that the client has caused itself, such as an ack. A client that asks without reading may not fill
    /// the queue with such: thousands of small packets take many times their bytes.
    func enqueueSolicited(_ packet: EncodedPacket) {
        guard !isClosed else { return }
        if queue.isEmpty { solicitedBytes = 0 }
        solicitedBytes = UInt32(clamping: Int(solicitedBytes) + packet.byteCount)
        let limit = max(Self.maximumSolicitedBytes, shard.configuration.maxPayload)
        if solicitedBytes > limit, queue.packetCount > 1 {
            return closeAsTooSlow(
                "client too slow, transport closed: it asks for answers and doesn't read them",
                waitingBytes: queue.byteCount, limit: limit)
        }
        enqueue(packet)
    }

    /// More than the acks that one POST of events asks for.
    private static let maximumSolicitedBytes = 1 << 20

    private func closeAsTooSlow(_ sentence: String, waitingBytes: Int, limit: Int) {
        shard.counters.slowClientsClosed += 1
        shard.logger.warning(
            "\(sentence)",
            metadata: ["sid": "\(sid)", "queued_bytes": "\(waitingBytes)", "limit_bytes": "\(limit)"])
        close(.slowClient)
    }

    private func touch() {
        guard !isTouched else { return }
        isTouched = true
        shard.touch(self)
    }

    /// Sends a packet at once if nothing is before it, queues it otherwise: for a batch that is this packet alone.
    func send(_ packet: EncodedPacket) {
        if engine.phase == .websocket, queue.isEmpty, let webSocket, webSocket.isIdle {
            shard.counters.packetsQueued += 1
            webSocket.write(packet.frames)
        } else {
            enqueue(packet)
        }
    }

    func flush() {
        isTouched = false
        guard hasSendablePackets else { return }
        switch engine.takeFlushTarget() {
        case .nothing: break
        case .waitingPoll: endPoll(with: takePayload())
        case .webSocket: writeQueueToWebSocket()
        }
    }

    private var hasSendablePackets: Bool { !queue.isEmpty && unroutableConnects == 0 }

    /// Writes until the websocket is full; the rest waits for `webSocketWritable`.
    private func writeQueueToWebSocket() {
        guard let webSocket, hasSendablePackets else { return }
        while webSocket.isWritable, let frames = queue.popFrames(joining: &shard.joinedFrames) {
            webSocket.write(frames)
        }
    }

    func webSocketWritable() {
        if engine.phase == .websocket { writeQueueToWebSocket() }
    }

    private func takePayload() -> ByteBuffer {
        let payload = queue.popPayload(allocator: shard.allocator)
        payloadBytes = UInt32(clamping: payload.readableBytes)
        return payload
    }

    private func endPoll(with payload: ByteBuffer) {
        poll?.promise.succeed(Self.pollResponse(payload, jsonpIndex: poll?.jsonpIndex))
        poll = nil
    }

    static func pollResponse(_ payload: ByteBuffer, jsonpIndex: Int?) -> HTTPResponse {
        guard let jsonpIndex else { return HTTPResponse(.ok, contentType: HTTPResponse.plainText, body: payload) }
        var writer = JSONWriter(capacity: payload.readableBytes + 64)
        payload.withUnsafeReadableBytes { writer.appendString(wtf8: $0) }
        var body = ByteBuffer(string: "___eio[\(jsonpIndex)](")
        writer.withUnsafeBytes { _ = body.writeBytes($0) }
        body.writeString(");")
        return HTTPResponse(.ok, contentType: "text/javascript; charset=UTF-8", body: body)
    }

    // MARK: Polling

    func received(_ poll: PendingPoll) {
        stall = nil
        timerFired(at: .now)
        if isClosed { return poll.promise.succeed(HTTPResponse(.invalidSession(sid))) }
        switch engine.pollArrived(hasQueuedPackets: hasSendablePackets) {
        case .hold: self.poll = poll
        case .respond:
            let payload =
                hasSendablePackets
                ? takePayload()
                : ByteBuffer(bytes: [EngineIOPacketType.noop.rawValue])
            poll.promise.succeed(Self.pollResponse(payload, jsonpIndex: poll.jsonpIndex))
        case .refuse(let refusal):
            refused(ClientRefusal(.invalidRequest, "a poll of a session that has its websocket"))
            poll.promise.succeed(HTTPResponse(refusal))
        case .closeOverlapping:
            refused(ClientRefusal(.overlappingPolls))
            poll.promise.succeed(HTTPResponse(.overlappingPoll))
            close(.overlappingPolls)
        }
    }

    func pollAborted(id: UInt64) {
        guard poll?.id == id else { return }
        poll = nil
        if let reason = engine.pollAborted() { close(reason) }
    }

    /// A POST body. Everything before a broken packet has its effect; the session ends there.
    func received(body: ArraySlice<UInt8>) -> HTTPResponse {
        timerFired(at: .now)
        if isClosed { return HTTPResponse(.invalidSession(sid)) }
        guard engine.acceptsPosts else {
            refused(ClientRefusal(.invalidRequest, "a POST to a session that has its websocket"))
            return HTTPResponse(.unexpectedRequest)
        }
        do {
            try EngineIOPayload.forEachPacket(in: body) { packet in
                if !isClosed { received(packet, on: .polling) }
            }
        } catch {
            refuse(error)
        }
        shard.flush()
        return isClosed && closedByInvalidPacket
            ? HTTPResponse(.invalidPayload)
            : HTTPResponse(.ok, contentType: "text/plain", body: ByteBuffer(string: "OK"))
    }

    private var closedByInvalidPacket = false

    // MARK: Websocket

    var acceptsUpgrade: Bool { engine.phase == .polling }

    /// A websocket takes part in the session: as its only transport, or probing. False: refuse it.
    func attach(_ webSocket: WebSocketConnection) -> Bool {
        let isOnlyTransport = engine.phase == .websocket && self.webSocket == nil
        guard isOnlyTransport || engine.webSocketArrived(at: .now) else { return false }
        self.webSocket = webSocket
        return true
    }

    func received(_ packet: EngineIOPacket, from webSocket: WebSocketConnection) {
        guard webSocket === self.webSocket, !isClosed else { return }
        received(packet, on: .websocket)
    }

    func refuse(_ error: any Error) {
        guard !isClosed else { return }
        shard.counters.invalidPackets += 1
        shard.logger.debug("invalid packet ends the session", metadata: ["sid": "\(sid)", "cause": "\(error)"])
        let isFirst = !hasEverConnected
        switch error {
        case SocketIOError.unexpectedBinary where isFirst, SocketIOError.unknownType where isFirst:
            refused(ClientRefusal(.unsupportedParser, ByteString("the first packet is \(error)")))
        default: refused(ClientRefusal(.invalidPacket, ByteString("\(error)")))
        }
        closedByInvalidPacket = true
        close(.invalidPacket)
    }

    /// Tells of something that the client didn't get.
    func refused(_ refusal: ClientRefusal) {
        shard.refused(refusal) { [sid, webSocket] in
            var client: Logger.Metadata = ["sid": "\(sid)"]
            if let address = webSocket?.peerAddress { client.merge(.address(address)) { $1 } }
            return client
        }
    }

    /// A broken packet on a websocket: a probing one goes alone, the session's own takes the session with it.
    func refuse(_ error: any Error, from webSocket: WebSocketConnection) {
        guard webSocket === self.webSocket else { return }
        if engine.phase == .websocket { refuse(error) } else { dropProbe() }
    }

    func closed(_ webSocket: WebSocketConnection) {
        guard webSocket === self.webSocket else { return }
        self.webSocket = nil
        if engine.webSocketClosed() { close(.transportClosed) }
    }

    private func dropProbe() {
        let probe = webSocket
        webSocket = nil
        _ = engine.webSocketClosed()
        probe?.close(.policyViolation)
    }

    // MARK: Packets

    private func received(_ packet: EngineIOPacket, on transport: EngineIORequest.Transport) {
        switch engine.received(packet, on: transport, at: .now) {
        case .none: break
        case .message: receivedMessage(packet)
        case .confirmProbe(let endsPoll):
            webSocket?.writeText("3probe")
            if endsPoll { endPoll(with: ByteBuffer(bytes: [EngineIOPacketType.noop.rawValue])) }
        case .upgraded(let endsPoll):
            if endsPoll { endPoll(with: ByteBuffer(bytes: [EngineIOPacketType.noop.rawValue])) }
            writeQueueToWebSocket()
        case .dropWebSocket:
            let probe = webSocket
            webSocket = nil
            probe?.close(.policyViolation)
        case .close(let reason): close(reason)
        }
    }

    private func receivedMessage(_ packet: EngineIOPacket) {
        defer {
            let unfinished = isClosed ? 0 : assembler.unfinishedBytes
            if unfinished != unfinishedBytes { shard.note(unfinishedBytes: unfinished, of: self) }
        }
        do {
            guard let message = try assembler.received(packet) else { return }
            try received(message)
        } catch {
            refuse(error)
        }
    }

    private func received(_ message: SocketIOPacketAssembler.Message) throws(SocketIOError) {
        let packet = message.packet
        let socket = sockets.first { $0.namespace.name == packet.namespace }
        switch packet.type {
        case .connect: try connect(packet, existing: socket)
        case .disconnect:
            if let socket { remove(socket) }
        case .event, .binaryEvent:
            // The first packet of a session must be CONNECT; later ones may cross our own DISCONNECT.
            guard hasEverConnected else { throw .payload }
            if let socket { try shard.events.received(packet, from: socket) }
        case .ack, .binaryAck:
            if let socket { try shard.events.receivedAck(message, from: socket) }
        case .connectError: throw .payload
        }
    }

    private func connect(_ packet: SocketIOPacket, existing: Socket?) throws(SocketIOError) {
        guard try shard.events.isObjectOrEmpty(packet.json) else { throw .payload }
        let namespace = packet.namespace
        let configuration = shard.configuration
        let isAllowed = configuration.namespaces?.contains(namespace) ?? true
        guard existing == nil, isAllowed, namespace.count <= configuration.maxNameBytes,
            sockets.count < configuration.maxNamespacesPerSession
        else {
            shard.counters.namespacesRefused += 1
            if !isAllowed {
                refused(ClientRefusal(.namespaceRefused, namespace))
            } else if existing == nil, namespace.count <= configuration.maxNameBytes {
                refused(ClientRefusal(.tooManyNamespaces))
            } else {
                refused(
                    ClientRefusal(
                        .invalidPacket, "a CONNECT to a namespace that is open already or has too long a name"))
            }
            return shard.enqueue(to: self) { SocketIOPacketWriter.writeConnectError(namespace: namespace, to: &$0) }
        }
        hasEverConnected = true
        engine.namespaceConnected()
        let socket = shard.registry.connect(self, to: namespace, sid: shard.makeSID())
        sockets.append(socket)
        shard.enqueue(to: self) { SocketIOPacketWriter.writeConnect(namespace: namespace, sid: socket.sid, to: &$0) }
        // The client may hand its sid to a backend at once, so it learns it when messages for it find their way.
        unroutableConnects += 1
        shard.whenRoutable {
            self.unroutableConnects -= 1
            self.touch()
        }
    }

    /// Takes a socket out of its rooms; the transport stays open.
    func remove(_ socket: Socket) {
        shard.events.cancelJoins(of: socket)
        shard.registry.disconnect(socket)
        sockets.removeAll { $0 === socket }
    }

    // MARK: Time and end

    func timerFired(at now: EngineIOSession.Instant) {
        switch engine.timerFired(at: now) {
        case .none: break
        case .sendPing: enqueue(shard.pingPacket)
        case .dropWebSocket:
            let probe = webSocket
            webSocket = nil
            probe?.close(.policyViolation)
        case .close(let reason):
            if reason == .pingTimeout { shard.counters.pingTimeouts += 1 }
            if reason == .noNamespace { refused(ClientRefusal(.noNamespace)) }
            close(reason)
        }
        if queue.byteCount > Self.stallBytes { checkProgress(at: now) } else if stall != nil { stall = nil }
    }

    /// The queue's bound is large, since a healthy client may get large messages at once. One that takes nothing at all may
    /// hold as much for a short time only.
    private func checkProgress(at now: EngineIOSession.Instant) {
        let unsent = webSocket?.unsentBytes ?? 0
        guard let stall, stall.unsentBytes == unsent else {
            stall = Stall(since: now, unsentBytes: unsent)
            return
        }
        let download = engine.phase == .websocket ? 0 : Int(payloadBytes) / Self.slowestBytesPerSecond
        let patience = shard.configuration.stallTimeout + .seconds(download)
        guard !isClosed, now - stall.since >= patience else { return }
        closeAsTooSlow(
            "client too slow, transport closed: it has taken nothing for longer than --stall-timeout",
            waitingBytes: queue.byteCount + unsent, limit: Self.stallBytes)
    }

    /// A slow phone's.
    private static let slowestBytesPerSecond = 100_000

    /// Some thousands of typical events.
    private static let stallBytes = 1 << 20

    func giveUpUnfinished() { close(.transportClosed) }

    /// Ends the session: rooms, waiting poll, websocket. Idempotent.
    func close(_ reason: EngineIOSession.CloseReason) {
        guard shard.remove(self) else { return }
        engine.close()
        for socket in sockets {
            shard.events.cancelJoins(of: socket)
            shard.registry.disconnect(socket)
        }
        sockets = []
        // A client that closes knows; its poll just ends, as the protocol's test suite asks.
        let lastPacket: EngineIOPacketType = reason == .clientClosed ? .noop : .close
        endPoll(with: ByteBuffer(bytes: [lastPacket.rawValue]))
        if reason == .slowClient {
            shard.counters.packetsDroppedSlow += queue.packetCount + 1
        } else {
            shard.counters.packetsDroppedClosed += queue.packetCount
        }
        if queue.byteCount > Self.stallBytes { shard.allConnections.mayTrimMemory() }
        queue.removeAll()
        assembler = SocketIOPacketAssembler(maximumBytes: assembler.maximumBytes)
        shard.note(unfinishedBytes: 0, of: self)
        let webSocket = self.webSocket
        self.webSocket = nil
        webSocket?.close(reason)
        shard.logger.debug("session closed", metadata: ["sid": "\(sid)", "reason": "\(reason)"])
    }
}
