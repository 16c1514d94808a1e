import Glibc
import NIOCore
import NIOWebSocket
import SocketIOProtocol

/// The last handler of a websocket's pipeline: frames in, bytes out. Writes frames that are encoded already.
final class WebSocketConnection: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = ByteBuffer

    /// What the connection was opened for.
    enum Purpose {
        case newSession
        case upgrade(Session)
    }

    private let shard: Shard
    private let purpose: Purpose
    private let handshakeResponse: ByteBuffer
    private var context: ChannelHandlerContext?
    private var session: Session?
    private var assembler: WebSocketMessageAssembler
    private var isClosing = false
    private var unansweredPing: ByteBuffer?
    /// The connection's descriptor for direct sends; valid while the channel is active.
    private var descriptor: CInt?
    private var channel: (any Channel)?
    /// Writes that the channel has not finished.
    private var writesPending = 0

    init(shard: Shard, purpose: Purpose, handshakeResponse: ByteBuffer) {
        self.shard = shard
        self.purpose = purpose
        self.handshakeResponse = handshakeResponse
        assembler = WebSocketMessageAssembler(maximumBytes: shard.configuration.maxPayload)
    }

    /// Adds the websocket handlers at the end of a pipeline that has no others, or none that pass frames on.
    func addToPipeline(of channel: any Channel) throws {
        let maximumBytes = shard.configuration.maxPayload
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: maximumBytes)))
        try pipeline.addHandler(self)
    }

    // MARK: Outgoing

    /// Whether the channel holds nothing for the client.
    var isIdle: Bool { writesPending == 0 }

    /// Whether another write is welcome: the channel holds less than its high watermark.
    var isWritable: Bool { writesPending == 0 || context?.channel.isWritable ?? false }

    /// Bytes that the channel holds because the client doesn't read.
    var bufferedBytes: Int {
        guard let context, writesPending > 0 else { return 0 }
        return (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    /// Sends frames: straight to the socket while the kernel takes everything, through the channel otherwise.
    ///
    /// A direct send costs a tenth of NIO's write path in user space. What keeps the stream whole: `isActive` is read
    /// before each send, since NIO clears it on this loop before the descriptor's number can be anybody else's; and once
    /// a byte has gone into the channel, everything goes there until the channel has written it all.
    func write(_ frames: ByteBuffer) {
        guard let channel, let descriptor, writesPending == 0, channel.isActive else {
            return writeThroughChannel(frames)
        }
        let sent = frames.withUnsafeReadableBytes { bytes in
            send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL | MSG_DONTWAIT))
        }
        if sent == frames.readableBytes { return }
        guard sent >= 0 || errno == EAGAIN || errno == EINTR else { return channel.close(promise: nil) }
        var rest = frames
        rest.moveReaderIndex(forwardBy: max(sent, 0))
        writeThroughChannel(rest)
    }

    private func writeThroughChannel(_ frames: ByteBuffer) {
        guard let context else { return }
        writesPending += 1
        context.writeAndFlush(wrapOutboundOut(frames)).assumeIsolated().whenComplete { _ in self.writesPending -= 1 }
    }

    func writeText(_ text: StaticString) {
        var frame = ByteBuffer()
        WebSocketFrameHeader.write(.text, payloadBytes: text.utf8CodeUnitCount, to: &frame)
        frame.writeStaticString(text)
        write(frame)
    }

    func close(_ reason: EngineIOSession.CloseReason) {
        let code: WebSocketErrorCode =
            switch reason {
            case .clientClosed: .normalClosure
            case .serverShutdown: .goingAway
            case .invalidPacket, .overlappingPolls: .protocolError
            case .transportClosed, .pollAborted, .pingTimeout, .noNamespace, .slowClient: .policyViolation
            }
        close(code)
    }

    /// Sends a close frame and waits for the client's, within a deadline. A client that doesn't read gets none.
    func close(_ code: WebSocketErrorCode) {
        guard !isClosing, let context else { return }
        isClosing = true
        session = nil
        guard context.channel.isWritable else { return context.close(promise: nil) }
        var frame = ByteBuffer()
        WebSocketFrameHeader.write(.close, payloadBytes: 2, to: &frame)
        frame.writeInteger(UInt16(webSocketErrorCode: code))
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
        write(handshakeResponse)
        if shard.configuration.sendsDirectly { descriptor = ConnectionDescriptor.borrow(from: context.channel) }
        switch purpose {
        case .newSession: session = shard.openSession(over: self)
        case .upgrade(let session):
            if session.attach(self) { self.session = session } else { close(.policyViolation) }
        }
    }

    private func disconnected() {
        let session = self.session
        self.session = nil
        context = nil
        channel = nil
        session?.closed(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        guard frame.maskKey != nil, !frame.rsv1, !frame.rsv2, !frame.rsv3 else {
            return fail(.protocolError, WebSocketViolation.frameBits)
        }
        switch frame.opcode {
        case .text, .binary, .continuation:
            do {
                guard let message = try assembler.received(frame) else { return }
                received(message)
            } catch {
                fail(error == .tooLarge ? .messageTooLarge : .protocolError, error)
            }
        case .ping:
            guard !isClosing else { return }
            // A client that asks without reading gets an answer to its last ping when it reads again.
            if isWritable { writePong(frame.unmaskedData) } else { unansweredPing = frame.unmaskedData }
        case .pong: break
        case .connectionClose: receivedClose(context, frame)
        default: fail(.protocolError, WebSocketViolation.opcode)
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
        switch error {
        case NIOWebSocketError.invalidFrameLength: fail(.messageTooLarge, error)
        case is NIOWebSocketError: fail(.protocolError, error)
        default: context.close(promise: nil)
        }
    }

    private func writePong(_ payload: ByteBuffer) {
        var pong = ByteBuffer()
        WebSocketFrameHeader.write(.pong, payloadBytes: payload.readableBytes, to: &pong)
        pong.writeImmutableBuffer(payload)
        write(pong)
    }

    private func received(_ message: WebSocketMessageAssembler.Message) {
        guard let session else { return }
        let bytes = Array(message.payload.readableBytesView)[...]
        if message.isBinary { return session.received(EngineIOPacket(binary: bytes), from: self) }
        guard UTF8Validation.isValid(bytes) else {
            return fail(.dataInconsistentWithMessage, EngineIOError.invalidUTF8)
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
        let code = WebSocketCloseFrame.answerCode(to: frame.unmaskedData)
        WebSocketFrameHeader.write(.close, payloadBytes: code == nil ? 0 : 2, to: &answer)
        if let code { answer.writeInteger(code) }
        descriptor = nil
        context.writeAndFlush(wrapOutboundOut(answer)).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
        closeAtDeadline(context)
        let session = self.session
        self.session = nil
        session?.closed(self)
    }

    /// The frames themselves are broken: nothing that follows can be read.
    private func fail(_ code: WebSocketErrorCode, _ error: any Error) {
        let session = self.session
        close(code)
        if let session {
            shard.counters.invalidPackets += 1
            shard.logger.debug("websocket closed", metadata: ["sid": "\(session.sid)", "cause": "\(error)"])
            session.closed(self)
        }
    }
}
