import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// The last handler of an HTTP connection, behind NIO's parser: carries out what `HTTPConnectionState` decides.
///
/// Responses leave at the end of the event loop's turn, past NIO's encoder and pipelining handler: those of one connection
/// in one system call, and those of all connections one after the other, so that a sleeping client wakes once.
final class HTTPConnection: ChannelDuplexHandler, RemovableChannelHandler, UnfinishedInput, TimedConnection {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    typealias Parser = ByteToMessageHandler<HTTPRequestDecoder>

    let host: any ConnectionHost
    let connections: ConnectionTable
    let endpoints: any HTTPRequestHandler
    var index = 0
    var unfinishedBytes: UInt32 = 0
    var parser: Parser
    var state: HTTPConnectionState
    var context: ChannelHandlerContext?
    /// The session whose poll waits for a response.
    private var waitingPoll: (session: SessionReference, poll: PendingPoll)?
    private var hasHeldRead = false
    private var isReadingOn = false
    /// Responses that leave at the end of this turn.
    private var unsent: ByteBuffer?
    private var descriptor: CInt?
    /// Writes that the channel has not finished.
    private var writesPending = 0

    /// Unwraps bytes that come without a parser.
    private final class RawBytes: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
    }

    init(host: any ConnectionHost, endpoints: any HTTPRequestHandler, parser: Parser, headDeadline: NIODeadline) {
        self.host = host
        connections = host.connections
        self.endpoints = endpoints
        self.parser = parser
        let configuration = host.connections.configuration
        state = HTTPConnectionState(
            headDeadline: headDeadline,
            timeouts: .init(
                body: TimeAmount(configuration.bodyTimeout), idle: TimeAmount(configuration.idleTimeout),
                close: TimeAmount(configuration.closeTimeout)))
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connections.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if hasHeldRead { context.read() }
        self.context = nil
        host.note(unfinishedBytes: 0, of: self)
        connections.remove(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let waitingPoll {
            self.waitingPoll = nil
            waitingPoll.session.abort(waitingPoll.poll)
        }
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if state.receivedUnparsed(RawBytes().unwrapInboundIn(data)) { return }
        let part = unwrapInboundIn(data)
        perform(state.received(part, at: .now(), bodyLimit: { endpoints.bodyLimit(of: $0) }), context)
    }

    /// Goes on with parts that were read behind a request that has its response now.
    func readOn(_ context: ChannelHandlerContext) {
        // A response that is given at once comes back here; one read may hold thousands of requests.
        guard !isReadingOn else { return }
        isReadingOn = true
        defer { isReadingOn = false }
        while let action = state.nextAction(at: .now(), bodyLimit: { endpoints.bodyLimit(of: $0) }) {
            perform(action, context)
        }
        resumeReading(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        let unfinished = state.unfinishedBytes
        if unfinished != unfinishedBytes { host.note(unfinishedBytes: unfinished, of: self) }
        host.flush()
        context.fireChannelReadComplete()
    }

    /// Reads, unless the client sends requests without reading the responses.
    func read(context: ChannelHandlerContext) {
        if state.mayRead, context.channel.isWritable { context.read() } else { hasHeldRead = true }
    }

    private func resumeReading(_ context: ChannelHandlerContext) {
        guard hasHeldRead, state.mayRead, context.channel.isWritable else { return }
        hasHeldRead = false
        context.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        resumeReading(context)
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError || error is ByteToMessageDecoderError else {
            return context.close(promise: nil)
        }
        perform(state.receivedBrokenRequest(), context)
    }

    // MARK: Requests

    private func perform(_ action: HTTPConnectionState.Action, _ context: ChannelHandlerContext) {
        switch action {
        case .none: break
        case .askForBody:
            flush()
            writeThroughChannel(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n"), context)
        case .route(let head, let body): route(head, body, context)
        case .refuse(let head, let refusal):
            write(endpoints.response(to: refusal, of: head, on: host))
        case .refuseUnreadable:
            host.refused(ClientRefusal(.brokenRequest), by: { .address(context.channel.remoteAddress) })
            write(.brokenRequest)
        case .close: close(context)
        }
    }

    private func route(_ head: HTTPRequestHead, _ body: ByteBuffer, _ context: ChannelHandlerContext) {
        switch endpoints.route(head, body: body, from: context.channel, on: host) {
        case .respond(let response): write(response)
        case .later(let future): write(future, to: head)
        case .poll(let session, let poll, let future):
            waitingPoll = (session, poll)
            write(future, to: head)
        case .webSocket(let session): upgradeToWebSocket(head, session, context)
        }
    }

    func giveUpUnfinished() {
        if let context { perform(state.giveUp(), context) }
    }

    // MARK: Responses

    private func write(_ future: EventLoopFuture<HTTPResponse>, to head: HTTPRequestHead) {
        let id = state.requestID
        // An endpoint's response may come from another loop.
        future.hop(to: connections.eventLoop).assumeIsolated().whenComplete { result in
            guard self.state.requestID == id else { return }
            self.waitingPoll = nil
            switch result {
            case .success(let response): self.write(response)
            case .failure:
                let response = HTTPResponse.errorPage(.internalServerError, "The request could not be completed.")
                self.write(self.endpoints.finished(response, head))
            }
        }
    }

    func write(_ response: HTTPResponse) {
        guard let context,
            let (framing, continuation) = state.respond(closesConnection: response.closesConnection, at: .now())
        else { return }
        if unsent == nil { connections.flushLater(self) }
        var bytes = unsent ?? ByteBuffer()
        unsent = nil  // releases the buffer, so that appending doesn't copy it
        response.write(framing, to: &bytes)
        unsent = bytes
        switch continuation {
        case .nextRequest: break
        case .drain:
            // A parser that stands still would keep the bytes that come.
            removeParser(context) {}
            flush()
            context.close(mode: .output, promise: nil)
        case .replaceParser: replaceParser(context)
        }
        readOn(context)
    }

    /// Sends the responses so far: to the socket itself while the kernel takes everything, through the channel otherwise.
    func flush() {
        guard var bytes = unsent, let context else { return }
        unsent = nil
        if writesPending == 0, context.channel.isActive {
            if descriptor == nil { descriptor = ConnectionDescriptor.borrow(from: context.channel) }
            if let descriptor {
                guard let sent = ConnectionDescriptor.send(bytes, over: descriptor) else {
                    return context.close(promise: nil)
                }
                bytes.moveReaderIndex(forwardBy: sent)
                if bytes.readableBytes == 0 { return }
            }
        }
        writeThroughChannel(bytes, context)
    }

    private func writeThroughChannel(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        writesPending += 1
        context.writeAndFlush(wrapOutboundOut(bytes)).assumeIsolated().whenComplete { _ in self.writesPending -= 1 }
    }

    // MARK: Time

    func closeIfOverdue(at now: NIODeadline) -> Bool {
        guard let context else { return false }
        let overdue = state.timerFired(at: now)
        if overdue != .nothing { close(context) }
        return overdue == .closeRequest
    }

    func closeWhenIdle() {
        if state.closeWhenIdle(), let context { close(context) }
    }

    func close(_ context: ChannelHandlerContext) {
        flush()
        context.close(promise: nil)
    }
}
