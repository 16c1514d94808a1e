import Bytes
import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// Engine.IO over HTTP: handshakes, polls, posts and websocket upgrades, as python-engineio's `handle_request`.
final class TransportEndpoint: Sendable {
    /// The Engine.IO path, with slashes at both ends.
    let path: [UInt8]
    let cors: CORSPolicy
    private let instance: SessionID.Instance
    private let shards: [NIOLoopBound<Shard>]

    init(configuration: BridgeConfiguration, shards: [NIOLoopBound<Shard>]) {
        path = Array(configuration.path.utf8)
        cors = CORSPolicy(origins: configuration.origins)
        instance = configuration.instance
        self.shards = shards
    }

    /// Whether `route` would let this request open a session.
    func opensSession(_ request: WebSocketRequest) -> Bool {
        guard cors.accepts(request.origin.map { String(decoding: $0, as: UTF8.self) }),
            let request = try? EngineIORequest(method: .get, query: request.query, isWebSocketUpgrade: true)
        else { return false }
        return request.transport == .websocket && request.sid == nil
    }

    func route(_ head: HTTPRequestHead, body: ByteBuffer, on host: any ConnectionHost) -> HTTPAction {
        let origin = head.headers.first(name: "origin")
        guard cors.accepts(origin) else {
            host.counters.originsRefused += 1
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
            var response = HTTPResponse(status, contentType: "text/plain", text: "Method Not Found")
            response.headers = [("Allow", "OPTIONS, GET, POST")]
            return .respond(finished(response, origin))
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
            session = SessionReference(sid: sid, shards: shards)
            if session == nil { throw .invalidSession(sid) }
        }
        switch (method, request.transport, session) {
        case (.get, .websocket, _): return .webSocket(session)
        case (.get, .polling, nil): return .respond(finished(try openSession(request.jsonpIndex), origin))
        case (.get, .polling, let session?): return .poll(session, jsonpIndex: request.jsonpIndex)
        case (.post, _, nil): throw .invalidSession(nil)
        case (.post, _, let session?):
            let promise = host.connections.eventLoop.makePromise(of: HTTPResponse.self)
            session.post(body, promise: promise)
            return .later(promise.futureResult.map { self.finished($0, origin) })
        }
    }

    private func openSession(_ jsonpIndex: Int?) throws(EngineIORefusal) -> HTTPResponse {
        guard let shard = shards.first(where: { $0.eventLoop.inEventLoop })?.value else { throw .invalidSession(nil) }
        let session = shard.openSession(transport: .polling)
        var payload = ByteBuffer()
        shard.openPacket(of: session, transport: .polling).appendPart(0, to: &payload)
        return Session.pollResponse(payload, jsonpIndex: jsonpIndex)
    }

    /// Adds the headers that every response of this endpoint has.
    func finished(_ response: HTTPResponse, _ origin: String?) -> HTTPResponse {
        var response = response
        response.headers += cors.headers(for: origin)
        response.headers.append((name: "Cache-Control", value: "no-store"))
        return response
    }
}
