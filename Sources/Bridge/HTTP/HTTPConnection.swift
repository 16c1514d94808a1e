import DequeModule
import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// The last handler of an HTTP connection, behind NIO's parser: one request after the other, until it becomes a websocket.
///
/// Answers leave at the end of the event loop's turn, past NIO's encoder and pipelining handler: all that this connection is
/// owed in one system call, and those of all connections one behind the other, so that a client which sleeps is woken once.
final class HTTPConnection: ChannelDuplexHandler, RemovableChannelHandler, UnfinishedInput, TimedConnection {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    typealias Parser = ByteToMessageHandler<HTTPRequestDecoder>

    static func makeParser() -> Parser {
        ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes))
    }

    /// Makes the parser's type known to Swift's runtime, to be called before there are connections: when two loops accept
    /// their first ones at the same moment, it may look up a conformance of the generic class while the other thread is
    /// still putting that together, and crash (seen with Swift 6 about once in a thousand starts under load).
    static func prepareParser() { _ = makeParser() }

    enum State {
        case awaitingHead
        case receivingBody(HTTPRequestHead, ByteBuffer, limit: Int)
        /// The request is with its endpoint; what follows waits.
        case responding(HTTPResponse.Framing)
        /// Nothing more is read or written, but the client may still be sending.
        case draining
        /// The parser leaves the pipeline: what comes now is for a websocket, or for the next parser.
        case withoutParser(ByteBuffer)
    }

    let host: any ConnectionHost
    let connections: ConnectionTable
    var index = 0
    let endpoints: HTTPEndpoints
    private var parser: Parser
    // Unchecked, these and those below: touched for each request, nowhere across a call back.
    @exclusivity(unchecked) var state = State.awaitingHead
    @exclusivity(unchecked) private var deadline: NIODeadline?
    @exclusivity(unchecked) var context: ChannelHandlerContext?
    /// Tells a waiting GET from earlier ones of this connection.
    @exclusivity(unchecked) var requestID: UInt64 = 0
    var waitingPoll: (session: SessionReference, id: UInt64)?
    var unfinishedBytes: UInt32 = 0
    var closesWhenIdle = false
    /// That of the request which is answered or comes in.
    @exclusivity(unchecked) var upgradeOffer = RequestFraming.UpgradeOffer.none
    @exclusivity(unchecked) private var hasHeldRead = false
    /// What came in the same read behind a request that is not answered yet. Nothing more is read meanwhile, so that one
    /// read's worth is the most there can be.
    @exclusivity(unchecked) private var waitingParts: Deque<WaitingPart> = []

    @exclusivity(unchecked) private var isReadingOn = false
    /// Answers that leave at the end of this turn.
    @exclusivity(unchecked) var unsent: ByteBuffer?
    var descriptor: CInt?
    /// Writes that the channel has not finished.
    @exclusivity(unchecked) var writesPending = 0
    /// What waits until the channel has written everything.
    var whenWritten: (() -> Void)?

    /// Reads what comes when the parser has gone.
    private final class RawBytes: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
    }

    private enum WaitingPart { case part(HTTPServerRequestPart), brokenRequest }

    init(host: any ConnectionHost, endpoints: HTTPEndpoints, parser: Parser, headDeadline: NIODeadline) {
        self.host = host
        connections = host.connections
        self.endpoints = endpoints
        self.parser = parser
        deadline = headDeadline
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
            waitingPoll.session.abortPoll(id: waitingPoll.id)
        }
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .withoutParser(var unread):
            unread.writeImmutableBuffer(RawBytes().unwrapInboundIn(data))
            return state = .withoutParser(unread)
        case .draining: return
        default: break
        }
        let part = unwrapInboundIn(data)
        if isResponding { waitingParts.append(.part(part)) } else { received(part, context) }
    }

    private var isResponding: Bool {
        if case .responding = state { true } else { false }
    }

    private func received(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch (part, state) {
        case (.head(let head), .awaitingHead): received(head, context)
        case (.body(let part), .receivingBody(let head, var body, let limit)):
            guard body.readableBytes + part.readableBytes <= limit else { return refuseBody(head, limit: limit) }
            // The commonest body comes whole, and needs no copy.
            if body.readableBytes == 0 {
                body = part
            } else {
                state = .awaitingHead  // releases the buffer, so that appending doesn't copy it
                body.writeImmutableBuffer(part)
            }
            state = .receivingBody(head, body, limit: limit)
        case (.end, .receivingBody(let head, let body, _)): received(head, body: body, context)
        default: break
        }
    }

    /// Goes on with what was read behind a request that is answered now.
    func readOn(_ context: ChannelHandlerContext) {
        // An answer given on the spot comes back here; thousands may stand in one read.
        guard !isReadingOn else { return }
        isReadingOn = true
        defer { isReadingOn = false }
        while !isResponding, let next = waitingParts.popFirst() {
            switch next {
            case .part(let part): received(part, context)
            case .brokenRequest: refuseBrokenRequest(context)
            }
        }
        if hasHeldRead, mayRead(context) {
            hasHeldRead = false
            context.read()
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        var unfinished = 0
        if case .receivingBody(_, let body, _) = state { unfinished = body.readableBytes }
        if unfinished != unfinishedBytes { host.note(unfinishedBytes: unfinished, of: self) }
        host.flush()
        context.fireChannelReadComplete()
    }

    /// A client that asks without reading the answers is asked nothing more until it does.
    func read(context: ChannelHandlerContext) {
        if mayRead(context) { context.read() } else { hasHeldRead = true }
    }

    private func mayRead(_ context: ChannelHandlerContext) -> Bool {
        if case .withoutParser = state { return false }
        return !isResponding && context.channel.isWritable
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if hasHeldRead, mayRead(context) {
            hasHeldRead = false
            context.read()
        }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError || error is ByteToMessageDecoderError else {
            return context.close(promise: nil)
        }
        if isResponding { waitingParts.append(.brokenRequest) } else { refuseBrokenRequest(context) }
    }

    private func refuseBrokenRequest(_ context: ChannelHandlerContext) {
        let response = HTTPResponse.errorPage(.badRequest, "The request is not valid HTTP.")
        switch state {
        case .awaitingHead:
            host.refused(ClientRefusal(.brokenRequest), by: { .address(context.channel.remoteAddress) })
            refuse(nil, response)
        case .receivingBody(let head, _, _): refuse(head, response)
        case .draining: break
        case .responding, .withoutParser: close(context)
        }
    }

    // MARK: Requests

    private func received(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        requestID += 1
        var head = head
        head.uri = RequestFraming.originForm(head.uri)
        let framing = RequestFraming(head)
        RequestFraming.trim(&head.headers)
        upgradeOffer = framing.upgradeOffer
        if let fault = framing.fault { return refuse(head, .errorPage(.badRequest, fault)) }
        // The parser stands still behind it, too.
        if head.method == .CONNECT { return refuse(head, .errorPage(.methodNotAllowed, "This is no proxy.")) }
        let limit = endpoints.bodyLimit(of: head)
        if let length = framing.contentLength, length > limit { return refuseBody(head, limit: limit) }
        state = .receivingBody(head, ByteBuffer(), limit: limit)
        setDeadline(connections.configuration.bodyTimeout)
        if framing.expectsContinue {
            flush()
            writeThroughChannel(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n"), context)
        }
    }

    func giveUpUnfinished() {
        guard case .receivingBody(let head, _, _) = state else { return }
        refuse(head, .errorPage(.serviceUnavailable, "Too much is being sent at once; try again."))
    }

    private func refuseBody(_ head: HTTPRequestHead, limit: Int) {
        host.counters.bodiesTooLarge += 1
        refuse(head, endpoints.bodyTooLarge(head, limit: limit, on: host))
    }

    /// Answers at once; the rest of the request is read and dropped for a while, so that the answer isn't lost to a reset.
    private func refuse(_ head: HTTPRequestHead?, _ response: HTTPResponse) {
        var response = response
        if let head {
            endpoints.noteRefusal(of: head, with: response.status)
            response = endpoints.finished(response, head)
        }
        state = .responding(head.map(HTTPResponse.Framing.init(of:)) ?? .common)
        response.closesConnection = true
        write(response)
    }

    private func received(_ head: HTTPRequestHead, body: ByteBuffer, _ context: ChannelHandlerContext) {
        state = .responding(HTTPResponse.Framing(of: head))
        deadline = nil
        switch endpoints.route(head, body: body, from: context.channel, on: host) {
        case .respond(let response): write(response)
        case .later(let future): write(future, to: head)
        case .poll(let session, let jsonpIndex):
            let promise = context.eventLoop.makePromise(of: HTTPResponse.self)
            let origin = head.headers.first(name: "origin")
            waitingPoll = (session, requestID)
            write(promise.futureResult.map { [endpoints] in endpoints.transport.finished($0, origin) }, to: head)
            session.poll(PendingPoll(id: requestID, jsonpIndex: jsonpIndex, promise: promise))
        case .webSocket(let session): upgradeToWebSocket(head, session, context)
        }
    }

    // MARK: Websocket

    private func upgradeToWebSocket(
        _ head: HTTPRequestHead, _ session: SessionReference?, _ context: ChannelHandlerContext
    ) {
        guard let session else { return shakeHands(head, nil) }
        let check = context.eventLoop.makePromise(of: EngineIORefusal?.self)
        session.checkUpgrade(promise: check)
        check.futureResult.assumeIsolated().whenSuccess { refusal in
            if let refusal { return self.refuseUpgrade(head, refusal) }
            self.shakeHands(head, session)
        }
    }

    private func shakeHands(_ head: HTTPRequestHead, _ session: SessionReference?) {
        guard upgradeOffer == .plain, let response = WebSocketHandshake.response(to: head) else {
            let refusal = ClientRefusal(.invalidRequest, "the headers Sec-WebSocket-Key or -Version are wrong")
            host.refused(refusal, by: { .sender(of: head) })
            return refuseUpgrade(head, .invalidWebSocketUpgrade)
        }
        becomeWebSocket(session, response)
    }

    private func refuseUpgrade(_ head: HTTPRequestHead, _ refusal: EngineIORefusal) {
        var response = HTTPResponse(refusal)
        if refusal == .invalidWebSocketUpgrade { response.headers = [WebSocketHandshake.version] }
        write(endpoints.transport.finished(response, head.headers.first(name: "origin")))
    }

    /// The connection leaves this channel for its session's event loop, behind the answers that are still to be sent.
    private func becomeWebSocket(_ session: SessionReference?, _ response: ByteBuffer) {
        guard let context else { return }
        flush()
        guard writesPending == 0 else {
            // A client that never reads them is not waited for.
            setDeadline(connections.configuration.idleTimeout)
            whenWritten = { self.becomeWebSocket(session, response) }
            return
        }
        deadline = nil
        state = .withoutParser(ByteBuffer())
        removeParser(context) { self.handOver(session, response) }
    }

    /// What the parser has read too far, it hands over when it goes. It may be calling us now, which is too early for it to
    /// know.
    func removeParser(_ context: ChannelHandlerContext, then next: @escaping () -> Void) {
        context.eventLoop.assumeIsolated().execute { [parser] in
            guard self.context != nil else { return }
            context.pipeline.syncOperations.removeHandler(parser).assumeIsolated().whenSuccess(next)
        }
    }

    /// Goes on with a parser that reads, behind a request whose offer of another protocol was not taken.
    func replaceParser(_ context: ChannelHandlerContext) {
        state = .withoutParser(ByteBuffer())
        removeParser(context) {
            guard let context = self.context, case .withoutParser(let unread) = self.state else { return }
            self.parser = Self.makeParser()
            do {
                try context.pipeline.syncOperations.addHandler(self.parser, position: .before(self))
            } catch {
                return context.close(promise: nil)
            }
            self.awaitNextRequest()
            if self.closesWhenIdle { return self.close(context) }
            if unread.readableBytes > 0 {
                context.pipeline.fireChannelRead(unread)
                context.pipeline.fireChannelReadComplete()
            }
            self.readOn(context)
        }
    }

    private func handOver(_ session: SessionReference?, _ response: ByteBuffer) {
        guard let context, case .withoutParser(let unread) = state else { return }
        do {
            let connection = UpgradedConnection(
                descriptor: try ConnectionDescriptor.duplicate(of: context.channel), handshakeResponse: response,
                unread: unread)
            context.close(promise: nil)
            if let session { session.adopt(connection) } else { host.adopt(connection, for: .newSession) }
        } catch {
            connections.logger.debug("websocket upgrade failed", metadata: ["cause": "\(error)"])
            context.close(promise: nil)
        }
    }

    // MARK: Time

    func setDeadline(_ duration: Duration) { deadline = .now() + TimeAmount(duration) }

    func closeIfOverdue(at now: NIODeadline) -> Bool {
        guard let deadline, now >= deadline, let context else { return false }
        self.deadline = nil
        defer { close(context) }
        if case .receivingBody = state { return true }
        if case .awaitingHead = state { return requestID == 0 }
        return false
    }

    /// The server stops: no further request on this connection.
    func closeWhenIdle() {
        closesWhenIdle = true
        if case .awaitingHead = state, let context { close(context) }
    }

    private func close(_ context: ChannelHandlerContext) {
        flush()
        context.close(promise: nil)
    }
}
