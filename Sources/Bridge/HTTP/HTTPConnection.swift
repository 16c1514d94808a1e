import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// NIO's part of an HTTP connection's pipeline, which an upgrade has to remove.
struct HTTPHandlers {
    let encoder = HTTPResponseEncoder()
    let decoder = ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes))
    let pipelining = HTTPServerPipelineHandler()
}

/// The last handler of an HTTP connection: one request after the other, until it becomes a websocket.
final class HTTPConnection: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case awaitingHead
        case receivingBody(HTTPRequestHead, ByteBuffer, limit: Int)
        /// The request is with its endpoint; the pipeline handler holds back the next one.
        case answering(HTTPRequestHead)
        /// Nothing more is read or written, but the client may still be sending.
        case draining
        case upgraded
    }

    let shard: Shard
    /// Place among the shard's connections.
    var index = 0
    private let endpoints: HTTPEndpoints
    private let httpHandlers: HTTPHandlers
    private var state = State.awaitingHead
    private var deadline: NIODeadline?
    private var context: ChannelHandlerContext?
    /// Tells a waiting GET from earlier ones of this connection.
    private var requestID: UInt64 = 0
    private var waitingPoll: (session: SessionReference, id: UInt64)?
    private var closesWhenIdle = false
    private var hasHeldRead = false

    init(shard: Shard, endpoints: HTTPEndpoints, httpHandlers: HTTPHandlers) {
        self.shard = shard
        self.endpoints = endpoints
        self.httpHandlers = httpHandlers
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        shard.add(self)
        setDeadline(shard.configuration.headTimeout)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if hasHeldRead { context.read() }
        self.context = nil
        shard.remove(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let waitingPoll {
            self.waitingPoll = nil
            waitingPoll.session.abortPoll(id: waitingPoll.id)
        }
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), state) {
        case (.head(let head), .awaitingHead): received(head, context)
        case (.body(let part), .receivingBody(let head, var body, let limit)):
            guard body.readableBytes + part.readableBytes <= limit else { return refuseBody(head, limit: limit) }
            state = .awaitingHead  // releases the buffer, so that appending doesn't copy it
            body.writeImmutableBuffer(part)
            state = .receivingBody(head, body, limit: limit)
        case (.end, .receivingBody(let head, let body, _)): received(head, body: body, context)
        default: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        shard.flush()
        context.fireChannelReadComplete()
    }

    /// A client that asks without reading the answers is asked nothing more until it does.
    func read(context: ChannelHandlerContext) {
        if context.channel.isWritable { context.read() } else { hasHeldRead = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if hasHeldRead, context.channel.isWritable {
            hasHeldRead = false
            context.read()
        }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError, case .awaitingHead = state else { return context.close(promise: nil) }
        state = .answering(HTTPRequestHead(version: .http1_1, method: .GET, uri: "/"))
        var answer = HTTPAnswer.errorPage(.badRequest, "The request is not valid HTTP.")
        answer.closesConnection = true
        write(answer)
    }

    // MARK: Requests

    private func received(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        requestID += 1
        let limit = endpoints.bodyLimit(of: head)
        if let length = head.headers.first(name: "content-length").flatMap({ Int($0) }), length > limit {
            return refuseBody(head, limit: limit)
        }
        state = .receivingBody(head, ByteBuffer(), limit: limit)
        setDeadline(shard.configuration.bodyTimeout)
        if head.headers.first(name: "expect")?.lowercased() == "100-continue" {
            context.writeAndFlush(
                wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
        }
    }

    /// Answers at once; the rest of the body is read and dropped for a while, so that the answer isn't lost to a reset.
    private func refuseBody(_ head: HTTPRequestHead, limit: Int) {
        state = .answering(head)
        var answer = HTTPAnswer.errorPage(.payloadTooLarge, "A body here may have at most \(limit) bytes.")
        answer.closesConnection = true
        write(answer)
    }

    private func received(_ head: HTTPRequestHead, body: ByteBuffer, _ context: ChannelHandlerContext) {
        state = .answering(head)
        deadline = nil
        switch endpoints.route(head, body: body, on: shard) {
        case .answer(let answer): write(answer)
        case .later(let future): write(future)
        case .poll(let session, let jsonpIndex):
            let promise = context.eventLoop.makePromise(of: HTTPAnswer.self)
            let origin = head.headers.first(name: "origin")
            waitingPoll = (session, requestID)
            write(promise.futureResult.map { [endpoints] in endpoints.transport.finished($0, origin) })
            session.poll(PendingPoll(id: requestID, jsonpIndex: jsonpIndex, promise: promise))
        case .webSocket(let session): upgradeToWebSocket(head, session, context)
        }
    }

    private func write(_ future: EventLoopFuture<HTTPAnswer>) {
        let id = requestID
        // An endpoint's answer may come from another loop.
        future.hop(to: shard.eventLoop).assumeIsolated().whenComplete { result in
            guard self.requestID == id else { return }
            self.waitingPoll = nil
            switch result {
            case .success(let answer): self.write(answer)
            case .failure: self.write(.errorPage(.internalServerError, "The request could not be completed."))
            }
        }
    }

    private func write(_ answer: HTTPAnswer) {
        guard let context, case .answering(let request) = state else { return }
        let closes = answer.closesConnection || closesWhenIdle || !request.isKeepAlive
        var head = HTTPResponseHead(version: .http1_1, status: answer.status)
        head.headers.add(name: "Content-Type", value: answer.contentType)
        head.headers.add(name: "Content-Length", value: String(answer.body.readableBytes))
        for header in answer.headers { head.headers.add(name: header.name, value: header.value) }
        if closes {
            head.headers.add(name: "Connection", value: "close")
        } else if request.version != .http1_1 {
            head.headers.add(name: "Connection", value: "keep-alive")
        }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(answer.body))), promise: nil) }
        // Before the flush: it may read the next request on the spot.
        if closes { drain() } else { awaitNextRequest() }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        if closes { context.close(mode: .output, promise: nil) }
    }

    private func awaitNextRequest() {
        state = .awaitingHead
        setDeadline(shard.configuration.idleTimeout)
    }

    private func drain() {
        state = .draining
        setDeadline(shard.configuration.closeTimeout)
    }

    // MARK: Websocket

    private func upgradeToWebSocket(
        _ head: HTTPRequestHead, _ session: SessionReference?, _ context: ChannelHandlerContext
    ) {
        let check = context.eventLoop.makePromise(of: EngineIORefusal?.self)
        if let session { session.checkUpgrade(promise: check) } else { check.succeed(nil) }
        let channel = context.channel
        check.futureResult.flatMap { refusal -> EventLoopFuture<ByteBuffer> in
            if let refusal { return channel.eventLoop.makeFailedFuture(refusal) }
            return WebSocketHandshake.response(to: head, on: channel)
        }.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let response): self.becomeWebSocket(session, response)
            case .failure(let error):
                let refusal = error as? EngineIORefusal ?? .invalidWebSocketUpgrade
                self.write(self.endpoints.transport.finished(HTTPAnswer(refusal), head.headers.first(name: "origin")))
            }
        }
    }

    private func becomeWebSocket(_ session: SessionReference?, _ response: ByteBuffer) {
        guard let context else { return }
        state = .upgraded
        do {
            if let session, !session.isLocal(to: shard) {
                // The session lives on another event loop: so will this connection.
                let descriptor = try ConnectionDescriptor.duplicate(of: context.channel)
                context.close(promise: nil)
                session.adopt(descriptor, handshakeResponse: response)
            } else {
                try replaceHandlers(context, session, response)
            }
        } catch {
            shard.logger.debug("websocket upgrade failed", metadata: ["cause": "\(error)"])
            context.close(promise: nil)
        }
    }

    private func replaceHandlers(
        _ context: ChannelHandlerContext, _ session: SessionReference?, _ response: ByteBuffer
    ) throws {
        var purpose = WebSocketConnection.Purpose.newSession
        if let session {
            guard let known = shard.session(session.sid) else { throw EngineIORefusal.invalidSession(session.sid) }
            purpose = .upgrade(known)
        }
        let channel = context.channel
        let pipeline = channel.pipeline.syncOperations
        // All but the decoder go before the websocket's handlers come, which write at once; the decoder goes last, since
        // what it has read too far must find the websocket's decoder next.
        pipeline.removeHandler(httpHandlers.encoder, promise: nil)
        pipeline.removeHandler(httpHandlers.pipelining, promise: nil)
        pipeline.removeHandler(context: context, promise: nil)
        try WebSocketConnection(shard: shard, purpose: purpose, handshakeResponse: response).addToPipeline(of: channel)
        pipeline.removeHandler(httpHandlers.decoder, promise: nil)
    }

    // MARK: Time

    private func setDeadline(_ duration: Duration) { deadline = .now() + TimeAmount(duration) }

    func closeIfOverdue(at now: NIODeadline) -> Bool {
        guard let deadline, now >= deadline, let context else { return false }
        self.deadline = nil
        defer { context.close(promise: nil) }
        if case .receivingBody = state { return true }
        if case .awaitingHead = state { return requestID == 0 }
        return false
    }

    /// The server stops: no further request on this connection.
    func closeWhenIdle() {
        closesWhenIdle = true
        if case .awaitingHead = state { context?.close(promise: nil) }
    }
}
