import NIOCore
import SocketIOProtocol

/// The only handler of a websocket's pipeline: bytes in, and frames out that are encoded already.
///
/// Cutting frames here instead of in a decoder of its own saves a third of a connection's memory.
final class WebSocketConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What the connection was opened for.
    enum Purpose {
        case newSession
        case upgrade(Session)
    }

    // What a write reads stands first, in one cache line or two.
    /// The 101 response, until the first write takes it along.
    @exclusivity(unchecked) private var handshakeResponse: ByteBuffer?
    @exclusivity(unchecked) private var channel: (any Channel)?
    /// The connection's descriptor for direct sends; valid while the channel is active.
    @exclusivity(unchecked) private var descriptor: CInt?
    /// Writes that the channel has not finished.
    @exclusivity(unchecked) private var writesPending = 0

    private let shard: Shard
    private let purpose: Purpose
    @exclusivity(unchecked) private var context: ChannelHandlerContext?
    private var session: Session?
    private let parser: WebSocketFrameParser
    private var assembler: WebSocketMessageAssembler
    /// The beginning of a frame whose end has not come.
    private var unread: ByteBuffer?
    /// The frames were broken: nothing that follows can be read.
    private var isUnreadable = false
    private var isClosing = false
    /// The closing handshake is over; the connection ends when what is written has left.
    private var closesWhenWritten = false
    private var unansweredPing: [UInt8]?

    init(shard: Shard, purpose: Purpose, handshakeResponse: ByteBuffer) {
        self.shard = shard
        self.purpose = purpose
        self.handshakeResponse = handshakeResponse
        parser = WebSocketFrameParser(maximumBytes: shard.configuration.maxPayload)
        assembler = WebSocketMessageAssembler(maximumBytes: shard.configuration.maxPayload)
    }

    // MARK: Outgoing

    /// Whether the channel holds nothing for the client.
    var isIdle: Bool { writesPending == 0 }

    /// Whether another write is welcome: the channel holds less than its high watermark.
    var isWritable: Bool { writesPending == 0 || context?.channel.isWritable ?? false }

    /// Bytes that the channel holds because the client doesn't read.
    var bufferedBytes: Int { writesPending == 0 ? 0 : bytesInChannel }

    private var bytesInChannel: Int {
        (try? channel?.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    /// Sends frames: straight to the socket while the kernel takes everything, through the channel otherwise.
    func write(_ frames: ByteBuffer) {
        if var both = handshakeResponse {
            handshakeResponse = nil
            both.writeImmutableBuffer(frames)
            return write(both)
        }
        guard let channel, let descriptor, writesPending == 0, channel.isActive else {
            return writeThroughChannel(frames)
        }
        guard let sent = ConnectionDescriptor.send(frames, over: descriptor) else { return channel.close(promise: nil) }
        if sent == frames.readableBytes { return }
        var rest = frames
        rest.moveReaderIndex(forwardBy: sent)
        writeThroughChannel(rest)
    }

    private func writeThroughChannel(_ frames: ByteBuffer) {
        guard let context else { return }
        writesPending += 1
        context.writeAndFlush(wrapOutboundOut(frames)).assumeIsolated().whenComplete { _ in
            self.writesPending -= 1
            if self.closesWhenWritten, self.isIdle { self.channel?.close(promise: nil) }
        }
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
            case .transportClosed, .pollAborted, .pingTimeout, .noNamespace, .slowClient: .policyViolation
            }
        close(code)
    }

    /// Sends a close frame and waits for the client's, within a deadline. A client that doesn't read gets none.
    func close(_ code: WebSocketCloseCode) {
        guard !isClosing, let context else { return }
        isClosing = true
        session = nil
        guard context.channel.isWritable else { return context.close(promise: nil) }
        var frame = ByteBuffer()
        WebSocketFrameHeader.write(.close, payloadBytes: 2, to: &frame)
        frame.writeInteger(code.rawValue)
        write(frame)
        closeAtDeadline(context)
    }

    /// A client that doesn't read our close frame or send its own is not waited for longer.
    private func closeAtDeadline(_ context: ChannelHandlerContext) {
        let channel = context.channel
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(shard.configuration.closeTimeout)) {
            channel.close(promise: nil)
        }
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        channel = context.channel
        if context.channel.isActive { open(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        open(context)
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        disconnected()
    }

    func channelInactive(context: ChannelHandlerContext) {
        disconnected()
        context.fireChannelInactive()
    }

    private func open(_ context: ChannelHandlerContext) {
        if shard.configuration.sendsDirectly { descriptor = ConnectionDescriptor.borrow(from: context.channel) }
        // An answer to an earlier request may still be on its way: what follows must queue up behind it.
        if bytesInChannel > 0, let response = handshakeResponse {
            handshakeResponse = nil
            writeThroughChannel(response)
        }
        switch purpose {
        case .newSession: session = shard.openSession(over: self)
        case .upgrade(let session):
            if session.attach(self) { self.session = session } else { close(.policyViolation) }
        }
        // A session that is only attached has nothing to say yet.
        if handshakeResponse != nil { write(ByteBuffer()) }
    }

    private func disconnected() {
        let session = self.session
        self.session = nil
        context = nil
        channel = nil
        session?.closed(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isUnreadable else { return }
        var bytes = unwrapInboundIn(data)
        let isContinued = unread != nil
        if var begun = unread {
            unread = nil
            begun.writeImmutableBuffer(bytes)
            bytes = begun
        }
        do {
            while let frame = try parser.next(in: &bytes) { received(frame, context) }
        } catch {
            // Nothing that follows can be read.
            isUnreadable = true
            return fail(error)
        }
        guard bytes.readableBytes > 0 else { return }
        // The channel's own buffer is left to it, ours grows by appending.
        unread = isContinued ? bytes : ByteBuffer(bytes.readableBytesView)
        unread?.discardReadBytes()
    }

    private func received(_ frame: WebSocketFrame, _ context: ChannelHandlerContext) {
        switch frame.opcode {
        case .text, .binary, .continuation:
            do {
                if let message = try assembler.received(frame) { received(message) }
            } catch {
                fail(error)
            }
        case .ping:
            guard !isClosing else { return }
            // A client that asks without reading gets an answer to its last ping when it reads again.
            if isWritable { writePong(frame.payload) } else { unansweredPing = frame.payload }
        case .pong: break
        case .close: receivedClose(context, frame)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        shard.flush()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            if let ping = unansweredPing, !isClosing { writePong(ping) }
            unansweredPing = nil
            session?.webSocketWritable()
        }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
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
        guard UTF8Validation.isValid(bytes) else {
            return fail(.inconsistentData, EngineIOError.invalidUTF8)
        }
        do {
            session.received(try EngineIOPacket(text: bytes), from: self)
        } catch {
            session.refuse(error, from: self)
        }
    }

    private func receivedClose(_ context: ChannelHandlerContext, _ frame: WebSocketFrame) {
        if isClosing { return context.close(promise: nil) }
        isClosing = true
        var answer = ByteBuffer()
        let code = WebSocketCloseFrame.answerCode(to: frame.payload)
        WebSocketFrameHeader.write(.close, payloadBytes: code == nil ? 0 : 2, to: &answer)
        if let code { answer.writeInteger(code) }
        write(answer)
        let session = self.session
        self.session = nil
        session?.closed(self)
        if isIdle { return context.close(promise: nil) }
        closesWhenWritten = true
        closeAtDeadline(context)
    }

    private func fail(_ violation: WebSocketViolation) {
        fail(violation == .tooLarge ? .messageTooLarge : .protocolError, violation)
    }

    private func fail(_ code: WebSocketCloseCode, _ error: any Error) {
        let session = self.session
        close(code)
        if let session {
            shard.counters.invalidPackets += 1
            shard.logger.debug("websocket closed", metadata: ["sid": "\(session.sid)", "cause": "\(error)"])
            session.closed(self)
        }
    }
}
