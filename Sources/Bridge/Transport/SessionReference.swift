import Bytes
import NIOCore
import SocketIOProtocol

/// A session by its sid, which names its event loop; usable on any event loop.
struct SessionReference: Sendable {
    let sid: ByteString
    private let table: NIOLoopBound<SessionTable>

    /// Nil if the text is not a sid of this server.
    init?(sid: ByteString, tables: [NIOLoopBound<SessionTable>]) {
        guard let loop = SessionID.loop(of: sid, loopCount: tables.count) else { return nil }
        self.sid = sid
        table = tables[loop]
    }

    func poll(_ poll: PendingPoll) {
        run { table in
            guard let session = session(in: table) else {
                return poll.promise.succeed(HTTPResponse(table.refusal(of: sid)))
            }
            session.received(poll)
            table.flush()
        }
    }

    /// The connection of a poll has gone away.
    func abort(_ poll: PendingPoll) {
        run { table in
            table[sid]?.aborted(poll)
            table.flush()
        }
    }

    func post(_ body: ByteBuffer, promise: EventLoopPromise<HTTPResponse>) {
        run { table in
            guard let session = session(in: table) else {
                return promise.succeed(HTTPResponse(table.refusal(of: sid)))
            }
            let bytes = Array(body.readableBytesView)
            promise.succeed(session.received(body: (EngineIOPayload.jsonpBody(bytes[...]) ?? bytes)[...]))
        }
    }

    /// Succeeds with nil if a websocket may probe, and with the refusal otherwise.
    func checkUpgrade(promise: EventLoopPromise<EngineIORefusal?>) {
        run { table in
            guard let session = session(in: table) else { return promise.succeed(table.refusal(of: sid)) }
            promise.succeed(session.acceptsUpgrade ? nil : .unexpectedRequest)
        }
    }

    /// Takes over a connection whose client has asked for this session's websocket.
    func adopt(_ connection: UpgradedConnection) {
        run { table in
            guard let session = table[sid] else { return }
            table.host?.adopt(connection, for: .upgrade(session))
        }
    }

    private func session(in table: SessionTable) -> Session? {
        let session = table[sid]
        if session == nil { table.host?.refused(ClientRefusal(.endedSession), by: { [:] }) }
        return session
    }

    private func run(_ body: @escaping @Sendable (SessionTable) -> Void) {
        if table.eventLoop.inEventLoop { return body(table.value) }
        table.eventLoop.execute { [table] in body(table.value) }
    }
}
