import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// The parser in front of a connection: it is installed, and removed or replaced behind a request that offers another
/// protocol.
extension HTTPConnection {
    static func makeParser() -> Parser {
        ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes))
    }

    /// Makes the parser's type known to Swift's runtime; to be called before there are connections. If two loops accept
    /// their first connections at the same moment, one may look up a conformance of the generic class while the other is
    /// still putting it together, and crash (seen with Swift 6 about once in a thousand starts under load).
    static func prepareParser() { _ = makeParser() }

    /// Adds HTTP to a channel that its host has counted.
    ///
    /// - Parameter headDeadline: when the first request's head must be there; nil counts from now.
    static func install(
        on channel: any Channel, host: any ConnectionHost, endpoints: any HTTPRequestHandler,
        headDeadline: NIODeadline? = nil
    ) throws {
        let configuration = host.connections.configuration
        try channel.syncOptions?.setOption(
            .writeBufferWaterMark,
            value: .init(low: configuration.writeBufferBytes / 2, high: configuration.writeBufferBytes))
        let parser = makeParser()
        let deadline = headDeadline ?? .now() + TimeAmount(configuration.headTimeout)
        try channel.pipeline.syncOperations.addHandler(parser)
        try channel.pipeline.syncOperations.addHandler(
            HTTPConnection(host: host, endpoints: endpoints, parser: parser, headDeadline: deadline))
    }

    // MARK: Offers of another protocol

    func upgradeToWebSocket(_ head: HTTPRequestHead, _ session: SessionReference?, _ context: ChannelHandlerContext) {
        guard let session else { return shakeHands(head, nil) }
        let check = context.eventLoop.makePromise(of: EngineIORefusal?.self)
        session.checkUpgrade(promise: check)
        check.futureResult.assumeIsolated().whenSuccess { refusal in
            if let refusal { return self.write(self.endpoints.refusedUpgrade(refusal, of: head, on: self.host)) }
            self.shakeHands(head, session)
        }
    }

    private func shakeHands(_ head: HTTPRequestHead, _ session: SessionReference?) {
        guard state.upgradeOffer == .plain, let response = WebSocketHandshake.response(to: head) else {
            return write(endpoints.refusedUpgrade(.invalidWebSocketUpgrade, of: head, on: host))
        }
        becomeWebSocket(session, response)
    }

    /// The connection leaves this channel for its session's event loop, behind the responses that are still to be sent.
    private func becomeWebSocket(_ session: SessionReference?, _ response: ByteBuffer) {
        guard let context else { return }
        flush()
        state.awaitWrites(at: .now())
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenSuccess {
            self.state.removeParser()
            self.removeParser(context) { self.handOver(session, response) }
        }
    }

    private func handOver(_ session: SessionReference?, _ response: ByteBuffer) {
        guard let context, let unread = state.unparsedBytes else { return }
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

    /// Removes the parser, which passes on bytes that it has read too far.
    func removeParser(_ context: ChannelHandlerContext, then next: @escaping () -> Void) {
        // Later, since the parser may be calling us now and doesn't know yet which bytes those are.
        context.eventLoop.assumeIsolated().execute { [parser] in
            guard self.context != nil else { return }
            context.pipeline.syncOperations.removeHandler(parser).assumeIsolated().whenSuccess(next)
        }
    }

    /// Goes on with a parser that reads, behind a request whose offer was not taken.
    func replaceParser(_ context: ChannelHandlerContext) {
        removeParser(context) {
            guard let context = self.context, let unread = self.state.parserReplaced(at: .now()) else { return }
            self.parser = Self.makeParser()
            do {
                try context.pipeline.syncOperations.addHandler(self.parser, position: .before(self))
            } catch {
                return context.close(promise: nil)
            }
            if self.state.closesWhenIdle { return self.close(context) }
            if unread.readableBytes > 0 {
                context.pipeline.fireChannelRead(unread)
                context.pipeline.fireChannelReadComplete()
            }
            self.readOn(context)
        }
    }
}
