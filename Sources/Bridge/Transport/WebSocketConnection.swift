import Bytes
import NIOCore
import SocketIOProtocol

/// Carries a websocket's bytes.
protocol WebSocketLink: AnyObject {
    /// Bytes that wait because the client doesn't read.
    var unsentBytes: Int { get }
    /// Another write is welcome.
    var isWritable: Bool { get }
    /// A descriptor to which bytes may be sent directly; -1 while they have to go through the link.
    var openDescriptor: CInt { get }
    func write(_ bytes: ByteBuffer)
    func close()
    func closeWhenSent()
}

extension DirectSocket: WebSocketLink {}

/// Receives a websocket's packets: its session.
protocol WebSocketOwner: AnyObject {
    var sid: ByteString { get }
    /// The websocket takes part in the session, as its transport or probing. False: it is refused.
    func attach(_ webSocket: WebSocketConnection) -> Bool
    func received(_ packet: EngineIOPacket, from webSocket: WebSocketConnection)
    /// A packet could not be read.
    func refuse(_ error: any Error, from webSocket: WebSocketConnection)
    /// Counts and logs something that was refused.
    func refused(_ refusal: ClientRefusal)
    /// Another write is welcome.
    func webSocketWritable()
    func closed(_ webSocket: WebSocketConnection)
}

/// A websocket: reads bytes, and writes frames that are encoded already.
final class WebSocketConnection: DirectSocketOwner, UnfinishedInput {
    /// The session that the connection is for.
    enum Purpose {
        case newSession
        case upgrade(any WebSocketOwner)
    }

    // Fields that every write reads come first, in one cache line.
    /// The 101 response, until the first write sends it.
    private var handshakeResponse: ByteBuffer?
    /// The link's open descriptor, for the most common write.
    private var descriptor: CInt = -1
    private var isUnreadable = false
    private var isClosing = false

    private var link: (any WebSocketLink)?
    private let host: any ConnectionHost
    private var session: (any WebSocketOwner)?
    private var assembler: WebSocketMessageAssembler
    /// The beginning of an incomplete frame.
    private var unread: ByteBuffer?
    private var unansweredPing: [UInt8]?
    var unfinishedBytes: UInt32 = 0

    /// - Parameter handshakeResponse: the 101 response.
    init(host: any ConnectionHost, handshakeResponse: ByteBuffer) {
        self.host = host
        self.handshakeResponse = handshakeResponse
        assembler = WebSocketMessageAssembler(maximumBytes: host.connections.configuration.maxPayload)
    }

    /// Sends the 101 response together with the session's first packets.
    func open(over link: any WebSocketLink, for purpose: Purpose) {
        self.link = link
        canSendAgain()
        switch purpose {
        case .newSession: session = host.openSession(over: self)
        case .upgrade(let session):
            if session.attach(self) { self.session = session } else { close(.policyViolation) }
        }
        // A session that is only attached sends no packet yet.
        if handshakeResponse != nil { write(ByteBuffer()) }
    }

    // MARK: Outgoing

    /// Nothing waits to be sent.
    var isIdle: Bool { descriptor >= 0 || unsentBytes == 0 }

    /// Another write is welcome.
    var isWritable: Bool { descriptor >= 0 || link?.isWritable ?? false }

    /// Bytes that wait because the client doesn't read.
    var unsentBytes: Int { descriptor >= 0 ? 0 : link?.unsentBytes ?? 0 }

    /// The address of the other end, if it is known.
    var peerAddress: SocketAddress? { link.flatMap { ConnectionDescriptor.peer(of: $0.openDescriptor) } }

    /// Sends frames, directly to the descriptor while the kernel takes everything.
    func write(_ frames: ByteBuffer) {
        if var both = handshakeResponse {
            handshakeResponse = nil
            both.writeImmutableBuffer(frames)
            return write(both)
        }
        guard descriptor >= 0 else { return link?.write(frames) ?? () }
        guard let sent = ConnectionDescriptor.send(frames, over: descriptor) else { return link?.close() ?? () }
        if sent == frames.readableBytes { return }
        descriptor = -1
        var rest = frames
        rest.moveReaderIndex(forwardBy: sent)
        link?.write(rest)
    }

    func canSendAgain() {
        descriptor = link?.openDescriptor ?? -1
        if let ping = unansweredPing, !isClosing { writePong(ping) }
        unansweredPing = nil
        session?.webSocketWritable()
    }

    func writeText(_ text: StaticString) {
        var frame = ByteBuffer()
        WebSocketFrameHeader.write(.text, payloadBytes: text.utf8CodeUnitCount, to: &frame)
        frame.writeStaticString(text)
        write(frame)
    }

    func close(_ reason: EngineIOSession.CloseReason) {
        let code: WebSocketCloseCode =
            switch reason {
            case .clientClosed: .normalClosure
            case .serverShutdown: .goingAway
            case .invalidPacket, .overlappingPolls: .protocolError
            case .transportClosed, .pollAborted, .pingTimeout, .noNamespace: .policyViolation
            case .slowClient: .slowClient
            }
        if case .slowClient(let cause) = reason {
            close(code, cause.text, behind: BridgeLimits.bytesBeforeClose)
        } else {
            close(code)
        }
    }

    /// Sends a close frame and waits for the client's, within a deadline.
    ///
    /// - Parameter limit: the unsent bytes that may go before it. A client for which more waits gets none.
    func close(_ code: WebSocketCloseCode, _ reason: String = "", behind limit: Int = 0) {
        guard !isClosing, let link else { return }
        isClosing = true
        session = nil
        guard isWritable || unsentBytes <= limit else { return link.close() }
        var frame = ByteBuffer()
        WebSocketFrameHeader.write(.close, payloadBytes: 2 + reason.utf8.count, to: &frame)
        frame.writeInteger(code.rawValue)
        frame.writeString(reason)
        write(frame)
        closeAtDeadline()
    }

    /// Ends the connection if the client doesn't read our close frame or send its own in time.
    private func closeAtDeadline() {
        let connections = host.connections
        connections.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(connections.configuration.closeTimeout)) {
            self.link?.close()
        }
    }

    // MARK: Incoming

    func disconnected() {
        let session = self.session
        self.session = nil
        link = nil
        descriptor = -1
        host.note(unfinishedBytes: 0, of: self)
        session?.closed(self)
    }

    func giveUpUnfinished() {
        isUnreadable = true
        unread = nil
        assembler = WebSocketMessageAssembler(maximumBytes: assembler.maximumBytes)
        let session = self.session
        close(.tryAgainLater)
        session?.closed(self)
    }

    func received(_ bytes: inout ByteBuffer) {
        guard !isUnreadable else { return }
        if var begun = unread {
            unread = nil
            begun.writeImmutableBuffer(bytes)
            readFrames(&begun)
            begun.discardReadBytes()
            if begun.readableBytes > 0 { unread = begun }
        } else {
            readFrames(&bytes)
            // The buffer belongs to the caller, so the rest is copied.
            if bytes.readableBytes > 0 { unread = ByteBuffer(bytes.readableBytesView) }
        }
        let unfinished = isUnreadable ? 0 : (unread?.readableBytes ?? 0) + assembler.partialBytes
        if unfinished != unfinishedBytes { host.note(unfinishedBytes: unfinished, of: self) }
    }

    private func readFrames(_ bytes: inout ByteBuffer) {
        let parser = WebSocketFrameParser(maximumBytes: assembler.maximumBytes)
        do {
            while let frame = try parser.next(in: &bytes) { received(frame) }
        } catch {
            // Nothing that follows can be read.
            isUnreadable = true
            bytes.clear()
            fail(error)
        }
    }

    private func received(_ frame: WebSocketFrame) {
        switch frame.opcode {
        case .text, .binary, .continuation:
            do {
                if let message = try assembler.received(frame) { received(message) }
            } catch {
                fail(error)
            }
        case .ping:
            guard !isClosing else { return }
            // A client that pings without reading gets a pong for its last ping when it reads again.
            if isWritable { writePong(frame.payload) } else { unansweredPing = frame.payload }
        case .pong: break
        case .close: receivedClose(frame)
        }
    }

    private func writePong(_ payload: [UInt8]) {
        var pong = ByteBuffer()
        WebSocketFrameHeader.write(.pong, payloadBytes: payload.count, to: &pong)
        pong.writeBytes(payload)
        write(pong)
    }

    private func received(_ message: WebSocketMessageAssembler.Message) {
        guard let session else { return }
        let bytes = message.payload[...]
        if message.isBinary { return session.received(EngineIOPacket(binary: bytes), from: self) }
        guard unsafe bytes.withUnsafeBytes({ unsafe WTF8.isValid($0, surrogates: false) }) else {
            return fail(.encoding)
        }
        do {
            session.received(try EngineIOPacket(text: bytes), from: self)
        } catch {
            session.refuse(error, from: self)
        }
    }

    private func receivedClose(_ frame: WebSocketFrame) {
        if isClosing { return link?.close() ?? () }
        isClosing = true
        var response = ByteBuffer()
        let code = WebSocketCloseFrame.responseCode(to: frame.payload)
        WebSocketFrameHeader.write(.close, payloadBytes: code == nil ? 0 : 2, to: &response)
        if let code { response.writeInteger(code) }
        write(response)
        let session = self.session
        self.session = nil
        session?.closed(self)
        if !isIdle { closeAtDeadline() }
        link?.closeWhenSent()
    }

    private func fail(_ violation: WebSocketViolation) {
        let session = self.session
        close(violation.closeCode)
        guard let session else { return }
        host.connections.counters.invalidPackets += 1
        session.refused(
            violation == .tooLarge
                ? ClientRefusal(.tooLarge)
                : ClientRefusal(.invalidPacket, ByteString("a websocket frame: \(violation)")))
        host.connections.logger.debug("websocket closed", metadata: ["sid": "\(session.sid)", "cause": "\(violation)"])
        session.closed(self)
    }
}
