import Bytes
import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// Engine.IO over HTTP: handshakes, polls, posts and websocket upgrades, as python-engineio's `handle_request`.
struct TransportEndpoint: Sendable {
    /// The Engine.IO path, with slashes at both ends.
    private let path: [UInt8]
    let cors: CORSPolicy
    private let instance: SessionID.Instance
    private let tables: [NIOLoopBound<SessionTable>]

    /// - Parameter tables: the sessions of each event loop.
    init(configuration: BridgeConfiguration, tables: [NIOLoopBound<SessionTable>]) {
        path = Array(configuration.path.utf8)
        cors = CORSPolicy(origins: configuration.origins)
        instance = configuration.instance
        self.tables = tables
    }

    /// The request that begins with these bytes, if it is a plain one that `route` would let open a session.
    func webSocketRequest(in bytes: ByteBuffer) -> WebSocketRequest? {
        guard let plain = WebSocketRequest(bytes, path: path),
            cors.accepts(plain.origin.map { String(decoding: $0, as: UTF8.self) }),
            let request = try? EngineIORequest(method: .get, query: plain.query, isWebSocketUpgrade: true),
            request.transport == .websocket, request.sid == nil
        else { return nil }
        return plain
    }

    func route(_ head: HTTPRequestHead, body: ByteBuffer, on host: any ConnectionHost) -> HTTPAction {
        let origin = head.headers.first(name: "origin")
        guard cors.accepts(origin) else {
            host.connections.counters.originsRefused += 1
            host.refused(ClientRefusal(.originRefused, ByteString(origin ?? "")), by: { [:] })
            return .respond(HTTPResponse(.originNotAccepted))
        }
        let method: EngineIORequest.Method
        switch head.method {
        case .GET: method = .get
        case .POST: method = .post
        case .OPTIONS:
            return .respond(cors.preflight(origin: origin, head.headers))
        default:
            host.refused(
                ClientRefusal(.invalidRequest, "the method is neither GET nor POST"), by: { .sender(of: head) })
            let status = HTTPResponseStatus.custom(code: 405, reasonPhrase: "METHOD NOT FOUND")
            let response = HTTPResponse(status, contentType: "text/plain", text: "Method Not Found")
            return .respond(finished(response.adding([("Allow", "OPTIONS, GET, POST")]), origin))
        }
        do throws(EngineIORefusal) {
            let uri = head.uri.utf8
            let query = uri.firstIndex(of: UInt8(ascii: "?")).map { Array(uri[$0...].dropFirst()) } ?? []
            let isUpgrade = WebSocketHandshake.isRequested(by: head)
            let request = try EngineIORequest(method: method, query: query, isWebSocketUpgrade: isUpgrade)
            return try route(request, method, origin, body, on: host)
        } catch {
            host.refused(ClientRefusal(error, of: head), by: { .sender(of: head) })
            return .respond(finished(HTTPResponse(error), origin))
        }
    }

    private func route(
        _ request: EngineIORequest, _ method: EngineIORequest.Method, _ origin: String?, _ body: ByteBuffer,
        on host: any ConnectionHost
    ) throws(EngineIORefusal) -> HTTPAction {
        var session: SessionReference?
        if let sid = request.sid {
            if SessionID.isForeign(sid, to: instance) { throw .foreignSession(sid) }
            session = SessionReference(sid: sid, tables: tables)
            if session == nil { throw .invalidSession(sid) }
        }
        switch (method, request.transport, session) {
        case (.get, .websocket, _): return .webSocket(session)
        case (.get, .polling, nil): return .respond(finished(try openSession(request.jsonpIndex), origin))
        case (.post, _, nil): throw .invalidSession(nil)
        case (let method, _, let session?):
            let promise = host.eventLoop.makePromise(of: HTTPResponse.self)
            let response = promise.futureResult.map { finished($0, origin) }
            if method == .post {
                session.post(body, promise: promise)
                return .later(response)
            }
            let poll = PendingPoll(
                jsonpIndex: request.jsonpIndex, timestamp: request.timestamp, promise: promise)
            session.poll(poll)
            return .poll(session, poll, response)
        }
    }

    private func openSession(_ jsonpIndex: Int?) throws(EngineIORefusal) -> HTTPResponse {
        guard let table = tables.first(where: { $0.eventLoop.inEventLoop })?.value else { throw .invalidSession(nil) }
        var payload = ByteBuffer()
        table.open(.polling).openPacket(.polling).appendPart(0, to: &payload)
        return Session.pollResponse(payload, jsonpIndex: jsonpIndex)
    }

    /// The response to a request for a websocket that is not opened.
    func refusedUpgrade(_ refusal: EngineIORefusal, of head: HTTPRequestHead, on host: any ConnectionHost)
        -> HTTPResponse
    {
        var response = HTTPResponse(refusal)
        if refusal == .invalidWebSocketUpgrade {
            response.add(WebSocketHandshake.version.name, WebSocketHandshake.version.value)
            let cause = ClientRefusal(.invalidRequest, "the headers Sec-WebSocket-Key or -Version are wrong")
            host.refused(cause, by: { .sender(of: head) })
        }
        return finished(response, head.headers.first(name: "origin"))
    }

    /// Adds the headers that every response of this endpoint has.
    func finished(_ response: HTTPResponse, _ origin: String?) -> HTTPResponse {
        var response = response.adding(cors.headers(for: origin))
        response.add("Cache-Control", "no-store")
        return response
    }
}
