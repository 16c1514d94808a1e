import Bytes
import Logging
import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// One Engine.IO session on its event loop: the queue of packets, the transport that takes them, its sockets.
final class Session: UnfinishedInput, WebSocketOwner {
    // Fields read by every delivery come first and fit in two cache lines: with thousands of clients each line is a cache
    // miss.
    let table: SessionTable
    /// The websocket that carries the session, or probes.
    var webSocket: WebSocketConnection?
    var queue = OutgoingQueue()
    private var isTouched = false
    /// Acknowledged CONNECTs whose sockets the router doesn't know yet. Nothing leaves until it does: the CONNECT packet must
    /// be the first of its namespace.
    var unroutableConnects = 0
    var engine: EngineIOSession

    let sid: ByteString
    /// Position in the table.
    var index = 0
    var sockets: [Socket] = []
    var assembler: SocketIOPacketAssembler
    var hasEverConnected = false
    var closedByInvalidPacket = false
    var unfinishedBytes: UInt32 = 0
    /// Bytes of packets that the client caused itself since its queue was last seen empty.
    private var solicitedBytes: UInt32 = 0
    /// Bytes of the last response to a poll, which take their time on the way.
    private(set) var payloadBytes: UInt32 = 0
    /// Set while many bytes wait and the client takes none of them; with the bytes that its websocket had not sent then.
    var stall: (since: EngineIOSession.Instant, unsentBytes: Int)?
    var poll: PendingPoll?
    /// Nil without recovery.
    let recovery: SessionRecovery?

    init(
        sid: ByteString, table: SessionTable, transport: EngineIORequest.Transport, at now: EngineIOSession.Instant
    ) {
        self.sid = sid
        self.table = table
        engine = EngineIOSession(transport: transport, timing: table.configuration.timing, at: now)
        assembler = SocketIOPacketAssembler(maximumBytes: table.configuration.maxPayload)
        recovery = table.recoverable == nil ? nil : SessionRecovery()
    }

    var isClosed: Bool { engine.phase == .closed }

    // MARK: Outgoing

    /// Queues a packet; it leaves at the table's next flush.
    func enqueue(_ packet: EncodedPacket) {
        guard !isClosed else { return }
        if packet.treatment.isLatest, !queue.isEmpty, replaceWaiting(with: packet) { return }
        let waiting = queue.byteCount + (webSocket?.unsentBytes ?? 0)
        if waiting > 0, waiting + packet.byteCount > table.queueLimit, !makeRoom(for: packet.byteCount) { return }
        table.counters.packetsQueued += 1
        queue.append(packet)
        touch()
    }

    /// Queues a packet that the client has caused itself, such as an ack. A client that asks without reading must not fill
    /// the queue with them: thousands of small packets take many times their bytes.
    func enqueueSolicited(_ packet: EncodedPacket) {
        guard !isClosed else { return }
        if queue.isEmpty { solicitedBytes = 0 }
        solicitedBytes = UInt32(clamping: Int(solicitedBytes) + packet.byteCount)
        let limit = max(BridgeLimits.solicitedBytes, table.configuration.maxPayload)
        if solicitedBytes > limit, queue.packetCount > 1 {
            return closeAsTooSlow(.unreadAcks, limit: limit)
        }
        enqueue(packet)
    }

    func enqueueSolicited(_ write: (inout JSONWriter) -> Void) { enqueueSolicited(table.packet(write)) }

    /// The first packet of the session.
    func openPacket(_ transport: EngineIORequest.Transport) -> EncodedPacket {
        let text = EngineIOHandshake.openPacket(
            sid: sid, transport: transport, timing: table.configuration.timing,
            maxPayload: table.configuration.maxPayload)
        return unsafe text.withUnsafeBytes { unsafe EncodedPacket(text: $0) }
    }

    func touch() {
        guard !isTouched else { return }
        isTouched = true
        table.touch(self)
    }

    /// Sends a packet at once if none is queued, and queues it otherwise; for a batch that consists of this packet alone.
    func send(_ packet: EncodedPacket) {
        if engine.phase == .websocket, queue.isEmpty, let webSocket, webSocket.isIdle {
            table.counters.packetsQueued += 1
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

    var hasSendablePackets: Bool { !queue.isEmpty && unroutableConnects == 0 }

    /// Writes until the websocket is full; the rest waits for `webSocketWritable`.
    func writeQueueToWebSocket() {
        guard let webSocket, hasSendablePackets else { return }
        while webSocket.isWritable, let frames = queue.popFrames(joining: &table.joinedFrames) {
            webSocket.write(frames)
        }
    }

    func webSocketWritable() {
        if engine.phase == .websocket { writeQueueToWebSocket() }
    }

    func takePayload() -> ByteBuffer {
        let payload = queue.popPayload()
        payloadBytes = UInt32(clamping: payload.readableBytes)
        return payload
    }

    func endPoll(with payload: ByteBuffer) {
        poll?.promise.succeed(Self.pollResponse(payload, jsonpIndex: poll?.jsonpIndex))
        poll = nil
    }

    // MARK: Time and end

    func timerFired(at now: EngineIOSession.Instant) {
        switch engine.timerFired(at: now) {
        case .none: break
        case .sendPing:
            recovery?.pingPosition = table.registry.position
            enqueue(table.pingPacket)
        case .dropWebSocket: dropProbe()
        case .close(let reason):
            if reason == .pingTimeout { table.counters.pingTimeouts += 1 }
            if reason == .noNamespace { refused(ClientRefusal(.noNamespace)) }
            close(reason)
        }
        if queue.byteCount > BridgeLimits.stallBytes || stall != nil && queue.isIndexed {
            checkProgress(at: now)
        } else if stall != nil {
            stall = nil
        }
    }

    func giveUpUnfinished() { close(.transportClosed) }

    /// Ends the session: rooms, waiting poll, websocket. Idempotent.
    func close(_ reason: EngineIOSession.CloseReason) {
        guard table.remove(self) else { return }
        if case .slowClient(let cause) = reason, engine.phase != .websocket { table.remember(self, as: cause) }
        engine.close()
        if !reason.isRecoverable { recovery?.pending = [] }
        for socket in sockets {
            if reason.isRecoverable, let recoverable = table.recoverable {
                park(socket, in: recoverable)
            } else {
                remove(socket)
            }
        }
        // A client that closes knows it; its poll just ends, as the protocol's test suite demands.
        let lastPacket: EngineIOPacketType = reason == .clientClosed ? .noop : .close
        if case .slowClient(let cause) = reason {
            table.counters.packetsDroppedSlow[.disconnect] += queue.packetCount + 1
            poll?.promise.succeed(HTTPResponse(.slowClient(cause)))
            poll = nil
        } else {
            table.counters.packetsDroppedClosed += queue.packetCount
            endPoll(with: ByteBuffer(bytes: [lastPacket.rawValue]))
        }
        if queue.byteCount > BridgeLimits.stallBytes { table.host?.connections.total.mayTrimMemory() }
        queue.removeAll()
        assembler = SocketIOPacketAssembler(maximumBytes: assembler.maximumBytes)
        table.host?.note(unfinishedBytes: 0, of: self)
        let webSocket = self.webSocket
        self.webSocket = nil
        webSocket?.close(reason)
        table.logger.debug("session closed", metadata: ["sid": "\(sid)", "reason": "\(reason)"])
    }
}
