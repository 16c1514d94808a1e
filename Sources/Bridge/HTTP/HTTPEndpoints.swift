import Bytes
import NIOCore
import NIOHTTP1
import RedisPubSub
import SocketIOProtocol

/// The way to a request's response.
enum HTTPAction {
    case respond(HTTPResponse)
    case later(EventLoopFuture<HTTPResponse>)
    /// The session is told if the connection closes before the response.
    case poll(SessionReference, PendingPoll, EventLoopFuture<HTTPResponse>)
    /// Upgrade to the websocket of a polling session, or of a new one.
    case webSocket(SessionReference?)
}

/// Handles the requests of a listener's connections: `HTTPEndpoints`, or a test.
protocol HTTPRequestHandler: Sendable {
    /// Bytes that the body of a request may have.
    func bodyLimit(of head: HTTPRequestHead) -> Int
    /// - Parameter channel: the connection, for the address of its other end.
    func route(
        _ head: HTTPRequestHead, body: ByteBuffer, from channel: any Channel, on host: any ConnectionHost
    ) -> HTTPAction
    /// The response to a request that the connection refuses before it is whole.
    func response(
        to refusal: HTTPConnectionState.Refusal, of head: HTTPRequestHead, on host: any ConnectionHost
    ) -> HTTPResponse
    /// The response to a request for a websocket that is not opened.
    func refusedUpgrade(_ refusal: EngineIORefusal, of head: HTTPRequestHead, on host: any ConnectionHost)
        -> HTTPResponse
    /// Completes a response that no endpoint gives.
    func finished(_ response: HTTPResponse, _ head: HTTPRequestHead) -> HTTPResponse
    /// The request that begins with these bytes, if it is a plain one that opens a session over a websocket.
    func webSocketRequest(in bytes: ByteBuffer) -> WebSocketRequest?
}

/// The paths of a listener: Engine.IO, `/emit`, and those for operators.
struct HTTPEndpoints: HTTPRequestHandler {
    /// The clients that a listener serves.
    enum Purpose {
        /// Pages and backends, and operators too unless they have a listener of their own.
        case everybody
        case pages
        case operators
    }

    let purpose: Purpose
    let transport: TransportEndpoint
    let emit: EmitEndpoint?
    let operations: OperationsEndpoint
    let metrics: BridgeMetrics
    let router: RouterReference
    let configuration: BridgeConfiguration

    func bodyLimit(of head: HTTPRequestHead) -> Int {
        Self.path(of: head) == "/emit" ? configuration.maxEmitBodyBytes : configuration.maxPayload
    }

    private func isEngineIO(_ path: Substring) -> Bool {
        // Clients with `addTrailingSlash: false` and some frameworks leave the last slash out.
        path.utf8.starts(with: configuration.path.utf8) || path.utf8.elementsEqual(configuration.path.utf8.dropLast())
    }

    func response(
        to refusal: HTTPConnectionState.Refusal, of head: HTTPRequestHead, on host: any ConnectionHost
    ) -> HTTPResponse {
        var response: HTTPResponse
        switch refusal {
        case .malformed(let status, let mistake):
            host.refused(ClientRefusal(.malformedRequest, ByteString(mistake)), by: { .sender(of: head) })
            response = .errorPage(status, mistake + ".")
        case .bodyTooLarge(let limit): response = bodyTooLarge(head, limit: limit, on: host)
        case .givenUp: response = .errorPage(.serviceUnavailable, "Too much is being sent at once; try again.")
        }
        response.closesConnection = true
        if emit != nil, Self.path(of: head) == "/emit" { metrics.emitResponded(response.status.code) }
        return finished(response, head)
    }

    private func bodyTooLarge(_ head: HTTPRequestHead, limit: Int, on host: any ConnectionHost) -> HTTPResponse {
        host.connections.counters.bodiesTooLarge += 1
        let sentence = "The body may have at most \(limit) bytes."
        let path = Self.path(of: head)
        guard emit != nil, path == "/emit" else {
            if isEngineIO(path) { host.refused(ClientRefusal(.tooLarge), by: { .sender(of: head) }) }
            return .errorPage(.payloadTooLarge, sentence)
        }
        let isJSON = EmitEndpoint.isJSON(head.headers.first(name: "content-type"))
        return isJSON ? .jsonError(.payloadTooLarge, sentence) : .errorPage(.payloadTooLarge, sentence)
    }

    func refusedUpgrade(_ refusal: EngineIORefusal, of head: HTTPRequestHead, on host: any ConnectionHost)
        -> HTTPResponse
    {
        transport.refusedUpgrade(refusal, of: head, on: host)
    }

    func webSocketRequest(in bytes: ByteBuffer) -> WebSocketRequest? { transport.webSocketRequest(in: bytes) }

    func route(
        _ head: HTTPRequestHead, body: ByteBuffer, from channel: any Channel, on host: any ConnectionHost
    ) -> HTTPAction {
        let path = Self.path(of: head)
        if purpose == .operators {
            return operations.route(head, path: path, from: .operators, on: host)
                ?? elsewhere(head)
        }
        if isEngineIO(path) {
            return transport.route(head, body: body, on: host)
        }
        if path == "/emit", let emit { return route(head, body: body, to: emit) }
        if head.uri.utf8.count > path.utf8.count, head.uri.dropFirst(path.count).contains("EIO=") {
            host.refused(ClientRefusal(.unknownPath, ByteString(String(path))), by: { .sender(of: head) })
        }
        guard purpose == .everybody else { return elsewhere(head) }
        let audience = Self.audience(head, channel.remoteAddress)
        return operations.route(head, path: path, from: audience, on: host)
            ?? elsewhere(head)
    }

    private func elsewhere(_ head: HTTPRequestHead) -> HTTPAction {
        guard head.method != .OPTIONS || head.uri != "*" else {
            return .respond(HTTPResponse(.ok, text: "").adding([("Allow", "GET, HEAD, POST, OPTIONS")]))
        }
        return .respond(finished(.errorPage(.notFound, "There is nothing at this address."), head))
    }

    /// Allowed pages may read it, so that their console shows the cause instead
    /// of CORS.
    func finished(_ response: HTTPResponse, _ head: HTTPRequestHead) -> HTTPResponse {
        guard purpose != .operators, Self.path(of: head) != "/emit",
            let origin = head.headers.first(name: "origin"), transport.cors.accepts(origin)
        else { return response }
        return transport.finished(response, origin)
    }

    /// A client on this machine, unless it is a proxy that forwards the request of somebody else.
    private static func audience(_ head: HTTPRequestHead, _ peer: SocketAddress?) -> OperationsEndpoint.Audience {
        guard let address = peer?.ipAddress,
            address == "::1" || ["127.", "::ffff:127."].contains(where: address.hasPrefix)
        else { return .anybody }
        let signs = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"]
        return signs.contains { head.headers.contains(name: $0) } ? .anybody : .thisMachine
    }

    private func route(_ head: HTTPRequestHead, body: ByteBuffer, to endpoint: EmitEndpoint) -> HTTPAction {
        guard case .POST = head.method else {
            let response =
                head.method == .OPTIONS
                ? HTTPResponse(.ok, contentType: HTTPResponse.html, text: "")
                : .errorPage(.methodNotAllowed, "Send messages with POST.")
            return .respond(response.adding([("Allow", "POST, OPTIONS")]))
        }
        switch endpoint.request(contentType: head.headers.first(name: "content-type"), body: body) {
        case .failure(let response): return .respond(counted(response))
        case .success(let request):
            do {
                if request.wantsReport {
                    return later(
                        router.emitReporting(request.payload).map { OperationsEndpoint.response(.ok, $0.json) })
                }
                switch try router.emit(request.payload) {
                case .now(let obstacle): return .respond(counted(Self.emitted(obstacle)))
                case .later(let emitted): return later(emitted.map { Self.emitted($0) })
                }
            } catch {
                return .respond(counted(Self.unemittable(error)))
            }
        }
    }

    private static let emitted = HTTPResponse(.ok, contentType: HTTPResponse.html, text: "OK\n")

    /// 200 even if it can't be published: this server's clients have the message, and would get it twice if a backend or a
    /// proxy tried again.
    private static func emitted(_ obstacle: RedisError?) -> HTTPResponse {
        guard let obstacle else { return emitted }
        let reason = EmitReport.Reason.notPublished(obstacle)
        return OperationsEndpoint.response(
            .ok, .object([("published", .bool(false)), ("reasons", .list([reason.json]))]))
    }

    private static func unemittable(_ error: any Error) -> HTTPResponse {
        .jsonError(.badRequest, "The message can't be emitted: \(error).")
    }

    private func later(_ response: EventLoopFuture<HTTPResponse>) -> HTTPAction {
        .later(response.recover { Self.unemittable($0) }.map { counted($0) })
    }

    private func counted(_ response: HTTPResponse) -> HTTPResponse {
        metrics.emitResponded(response.status.code)
        return response
    }

    static func path(of head: HTTPRequestHead) -> Substring {
        let uri = head.uri
        return uri[..<(uri.utf8.firstIndex(of: UInt8(ascii: "?")) ?? uri.endIndex)]
    }
}
