import Bytes
import Logging
import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// A GET that waits for packets; its connection may be on another event loop.
struct PendingPoll {
    let jsonpIndex: Int?
    var timestamp: ByteString?
    let promise: EventLoopPromise<HTTPResponse>
}

extension ByteBuffer {
    fileprivate static let noop = ByteBuffer(bytes: [EngineIOPacketType.noop.rawValue])
}

/// Polls, posts, websockets, and the packets that they bring.
extension Session {
    // MARK: Polling

    func received(_ poll: PendingPoll) {
        stall = nil
        timerFired(at: .now)
        if isClosed { return poll.promise.succeed(HTTPResponse(table.refusal(of: sid))) }
        if let recovery, recovery.isRepeated(poll) {
            poll.promise.succeed(HTTPResponse(.invalidSession(sid)))
            return close(.transportClosed)
        }
        switch engine.pollArrived(hasQueuedPackets: hasSendablePackets) {
        case .hold: self.poll = poll
        case .respond:
            let payload = hasSendablePackets ? takePayload() : .noop
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

    /// The connection of a poll went away; it may be one that has its response already.
    func aborted(_ poll: PendingPoll) {
        guard let waiting = self.poll, waiting.promise.futureResult == poll.promise.futureResult else { return }
        self.poll = nil
        if let reason = engine.pollAborted() { close(reason) }
    }

    /// A POST body. Packets before a broken one take effect; then the session ends.
    func received(body: ArraySlice<UInt8>) -> HTTPResponse {
        timerFired(at: .now)
        if isClosed { return HTTPResponse(table.refusal(of: sid)) }
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
        table.flush()
        return isClosed && closedByInvalidPacket
            ? HTTPResponse(.invalidPayload)
            : HTTPResponse(.ok, contentType: "text/plain", body: ByteBuffer(string: "OK"))
    }

    // MARK: Websocket

    var acceptsUpgrade: Bool { engine.phase == .polling }

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
        table.counters.invalidPackets += 1
        table.logger.debug("invalid packet ends the session", metadata: ["sid": "\(sid)", "cause": "\(error)"])
        let isFirst = !hasEverConnected
        switch error {
        case SocketIOError.unexpectedBinary where isFirst, SocketIOError.unknownType where isFirst:
            refused(ClientRefusal(.unsupportedParser, ByteString("the first packet is \(error)")))
        default: refused(ClientRefusal(.invalidPacket, ByteString("\(error)")))
        }
        closedByInvalidPacket = true
        close(.invalidPacket)
    }

    func refused(_ refusal: ClientRefusal) {
        table.host?.refused(refusal) {
            Logger.Metadata.address(webSocket?.peerAddress).merging(["sid": "\(sid)"]) { $1 }
        }
    }

    /// A broken packet ends a probing websocket alone, and the session if the websocket is its transport.
    func refuse(_ error: any Error, from webSocket: WebSocketConnection) {
        guard webSocket === self.webSocket else { return }
        if engine.phase == .websocket { refuse(error) } else { dropProbe() }
    }

    func closed(_ webSocket: WebSocketConnection) {
        guard webSocket === self.webSocket else { return }
        self.webSocket = nil
        if engine.webSocketClosed() { close(.transportClosed) }
    }

    func dropProbe() {
        let probe = webSocket
        webSocket = nil
        _ = engine.webSocketClosed()
        probe?.close(.policyViolation)
    }

    // MARK: Packets

    private func received(_ packet: EngineIOPacket, on transport: EngineIORequest.Transport) {
        switch engine.received(packet, on: transport, at: .now) {
        case .none: if packet.type == .pong { recovery?.pongArrived() }
        case .message: receivedMessage(packet)
        case .confirmProbe:
            webSocket?.writeText("3probe")
            endPoll(with: .noop)
        case .upgraded:
            endPoll(with: .noop)
            writeQueueToWebSocket()
        case .dropWebSocket: dropProbe()
        case .close(let reason): close(reason)
        }
    }

    private func receivedMessage(_ packet: EngineIOPacket) {
        defer {
            let unfinished = isClosed ? 0 : assembler.unfinishedBytes
            if unfinished != unfinishedBytes { table.host?.note(unfinishedBytes: unfinished, of: self) }
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
            recovery?.pending.removeAll { $0.namespace == packet.namespace }
        case .event, .binaryEvent:
            // The first packet of a session must be CONNECT; later ones may cross our own DISCONNECT.
            guard hasEverConnected else { throw .payload }
            if let socket { try table.host?.received(packet, from: socket) }
        case .ack, .binaryAck:
            if let socket { try table.host?.receivedAck(message, from: socket) }
        case .connectError: throw .payload
        }
    }

    private func connect(_ packet: SocketIOPacket, existing: Socket?) throws(SocketIOError) {
        guard let host = table.host, try host.isObjectOrEmpty(packet.json) else { throw .payload }
        let namespace = packet.namespace
        let configuration = table.configuration
        let isAllowed = configuration.namespaces?.contains(namespace) ?? true
        let pending = recovery?.pending ?? []
        let isOpen = existing != nil || pending.contains { $0.namespace == namespace }
        guard !isOpen, isAllowed, namespace.count <= configuration.maxNameBytes,
            sockets.count + pending.count < configuration.maxNamespacesPerSession
        else {
            table.counters.namespacesRefused += 1
            if !isAllowed {
                refused(ClientRefusal(.namespaceRefused, namespace))
            } else if !isOpen, namespace.count <= configuration.maxNameBytes {
                refused(ClientRefusal(.tooManyNamespaces))
            } else {
                refused(
                    ClientRefusal(
                        .invalidPacket, "a CONNECT to a namespace that is open already or has too long a name"))
            }
            return enqueueSolicited { SocketIOPacketWriter.writeConnectError(namespace: namespace, to: &$0) }
        }
        hasEverConnected = true
        engine.namespaceConnected()
        if let recovery, let request = try host.recoveryRequest(in: packet.json) {
            recovery.pending.append((namespace, host.recover(request, for: self, namespace: namespace)))
            return
        }
        connect(to: namespace)
    }

    /// Opens a namespace with a new sid.
    func connect(to namespace: ByteString) {
        let isNew = table.registry.namespaces[namespace] == nil
        let socket = table.registry.connect(self, to: namespace, sid: table.makeSID())
        sockets.append(socket)
        if let recoverable = table.recoverable {
            socket.recovery = RecoveryState(pid: table.makeSID(), start: table.registry.position)
            recoverable.add(socket)
        }
        let pid = socket.recovery?.pid
        enqueueSolicited { SocketIOPacketWriter.writeConnect(namespace: namespace, sid: socket.sid, pid: pid, to: &$0) }
        // The client may pass its sid to a backend at once, so it learns it when messages for it are routed.
        unroutableConnects += 1
        table.host?.whenRoutable {
            self.unroutableConnects -= 1
            // Nothing was routed here before for the first socket of the namespace.
            if isNew, let recovery = socket.recovery { recovery.start = self.table.registry.routedPosition }
            self.touch()
        }
    }

    /// The transport is lost: the socket waits in its rooms for its client to come back.
    func park(_ socket: Socket, in recoverable: RecoverableSockets) {
        table.host?.disconnected(socket)
        recoverable.park(socket, at: .now)
        while let oldest = recoverable.excess {
            table.counters.parkedGivenUp += 1
            oldest.session.remove(oldest)
        }
    }

    /// Takes a socket out of its rooms; the transport stays open.
    func remove(_ socket: Socket) {
        table.host?.disconnected(socket)
        table.registry.disconnect(socket)
        sockets.removeAll { $0 === socket }
        guard let recovery = socket.recovery else { return }
        table.recoverable?.remove(socket)
        if recovery.isMoved { table.host?.movedSocketEnded(sid: socket.sid, pid: recovery.pid) }
    }

    static func pollResponse(_ payload: ByteBuffer, jsonpIndex: Int?) -> HTTPResponse {
        guard let jsonpIndex else { return HTTPResponse(.ok, contentType: HTTPResponse.plainText, body: payload) }
        var writer = JSONWriter(capacity: payload.readableBytes + 64)
        unsafe payload.withUnsafeReadableBytes { unsafe writer.appendString(wtf8: $0) }
        var body = ByteBuffer(string: "___eio[\(jsonpIndex)](")
        unsafe writer.withUnsafeBytes { _ = unsafe body.writeBytes($0) }
        body.writeString(");")
        return HTTPResponse(.ok, contentType: "text/javascript; charset=UTF-8", body: body)
    }
}
