import JSONCodec
import NIOCore
import NIOPosix
import SocketIOProtocol

/// A session by its sid, which names the event loop it lives on; for requests that arrive on any loop.
struct SessionReference: Sendable {
    let sid: ByteString
    private let shard: NIOLoopBound<Shard>

    /// Nil when the text is no sid of this server.
    init?(sid: ByteString, shards: [NIOLoopBound<Shard>]) {
        guard let loop = SessionID.loop(of: sid, loopCount: shards.count) else { return nil }
        self.sid = sid
        shard = shards[loop]
    }

    func isLocal(to shard: Shard) -> Bool { self.shard.eventLoop === shard.eventLoop }

    func poll(_ poll: PendingPoll) {
        run { shard in
            guard let session = shard.session(sid) else {
                return poll.promise.succeed(HTTPAnswer(.invalidSession(sid)))
            }
            session.received(poll)
            shard.flush()
        }
    }

    func abortPoll(id: UInt64) {
        run { shard in
            shard.session(sid)?.pollAborted(id: id)
            shard.flush()
        }
    }

    func post(_ body: ByteBuffer, promise: EventLoopPromise<HTTPAnswer>) {
        run { shard in
            guard let session = shard.session(sid) else {
                return promise.succeed(HTTPAnswer(.invalidSession(sid)))
            }
            let bytes = Array(body.readableBytesView)
            promise.succeed(session.received(body: (EngineIOPayload.jsonpBody(bytes[...]) ?? bytes)[...]))
        }
    }

    /// Whether a websocket may probe: nil, or why not.
    func checkUpgrade(promise: EventLoopPromise<EngineIORefusal?>) {
        run { shard in
            guard let session = shard.session(sid) else { return promise.succeed(.invalidSession(sid)) }
            promise.succeed(session.acceptsUpgrade ? nil : .unexpectedRequest)
        }
    }

    /// Takes over a connection whose client has asked for this session's websocket on another loop.
    func adopt(_ descriptor: CInt, handshakeResponse: ByteBuffer) {
        let (sid, shard) = (sid, shard)
        ClientBootstrap(group: shard.eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let session = shard.value.session(sid) else { throw EngineIORefusal.invalidSession(sid) }
                    let connection = WebSocketConnection(
                        shard: shard.value, purpose: .upgrade(session), handshakeResponse: handshakeResponse)
                    shard.value.connectionOpened(channel)
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
            .withConnectedSocket(descriptor)
            // On failure NIO has closed the descriptor, and the client sees its websocket fail.
            .whenFailure { error in
                shard.eventLoop.execute {
                    shard.value.logger.debug("websocket not taken over", metadata: ["cause": "\(error)"])
                }
            }
    }

    private func run(_ body: @escaping @Sendable (Shard) -> Void) {
        if shard.eventLoop.inEventLoop { return body(shard.value) }
        shard.eventLoop.execute { [shard] in body(shard.value) }
    }
}
