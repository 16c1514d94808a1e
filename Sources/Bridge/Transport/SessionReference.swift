import Bytes
import NIOCore
import SocketIOProtocol

/// A session by its sid, which names its event loop; usable on any event loop.
struct SessionReference: Sendable {
    let sid: ByteString
    private let shard: NIOLoopBound<Shard>

    /// Nil if the text is not a sid of this server.
    init?(sid: ByteString, shards: [NIOLoopBound<Shard>]) {
        guard let loop = SessionID.loop(of: sid, loopCount: shards.count) else { return nil }
        self.sid = sid
        shard = shards[loop]
    }

    func poll(_ poll: PendingPoll) {
        run { shard in
            guard let session = session(on: shard) else {
                return poll.promise.succeed(HTTPResponse(.invalidSession(sid)))
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

    func post(_ body: ByteBuffer, promise: EventLoopPromise<HTTPResponse>) {
        run { shard in
            guard let session = session(on: shard) else {
                return promise.succeed(HTTPResponse(.invalidSession(sid)))
            }
            let bytes = Array(body.readableBytesView)
            promise.succeed(session.received(body: (EngineIOPayload.jsonpBody(bytes[...]) ?? bytes)[...]))
        }
    }

    /// Succeeds with nil if a websocket may probe, and with the refusal otherwise.
    func checkUpgrade(promise: EventLoopPromise<EngineIORefusal?>) {
        run { shard in
            guard let session = session(on: shard) else { return promise.succeed(.invalidSession(sid)) }
            promise.succeed(session.acceptsUpgrade ? nil : .unexpectedRequest)
        }
    }

    /// Takes over a connection whose client has asked for this session's websocket.
    func adopt(_ connection: UpgradedConnection) {
        run { shard in
            guard let session = shard.session(sid) else { return }
            shard.adopt(connection, for: .upgrade(session))
        }
    }

    private func session(on shard: Shard) -> Session? {
        let session = shard.session(sid)
        if session == nil { shard.refused(ClientRefusal(.endedSession)) }
        return session
    }

    private func run(_ body: @escaping @Sendable (Shard) -> Void) {
        if shard.eventLoop.inEventLoop { return body(shard.value) }
        shard.eventLoop.execute { [shard] in body(shard.value) }
    }
}
