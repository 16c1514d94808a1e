import JSONCodec
import NIOCore
import NIOHTTP1
import RedisPubSub
import SocketIOProtocol

/// What is to be done with a request.
enum HTTPAction {
    case answer(HTTPAnswer)
    case later(EventLoopFuture<HTTPAnswer>)
    case poll(SessionReference, jsonpIndex: Int?)
    /// Upgrade, for a session that polls or a new one.
    case webSocket(SessionReference?)
}

/// The paths a listener answers: Engine.IO below its path, `/emit`, what operators ask for, and nothing else.
final class HTTPEndpoints: Sendable {
    /// Whom a listener serves.
    enum Purpose {
        /// Pages and backends, and operators too unless they have a listener of their own.
        case everybody
        case pages
        case operators
    }

    let transport: TransportEndpoint
    /// Of Engine.IO; clients with `addTrailingSlash: false` and frameworks that rewrite paths leave its last slash out.
    private let pathWithoutSlash: String
    private let operations: OperationsEndpoint
    private let purpose: Purpose
    private let metrics: BridgeMetrics
    private let emit: EmitEndpoint?
    private let router: RouterReference
    private let configuration: BridgeConfiguration

    init(
        purpose: Purpose, transport: TransportEndpoint, emit: EmitEndpoint?, operations: OperationsEndpoint,
        metrics: BridgeMetrics, router: RouterReference, configuration: BridgeConfiguration
    ) {
        self.purpose = purpose
        self.operations = operations
        self.metrics = metrics
        self.transport = transport
        self.emit = emit
        self.router = router
        self.configuration = configuration
        pathWithoutSlash = String(configuration.path.dropLast())
    }

    func bodyLimit(of head: HTTPRequestHead) -> Int {
        Self.path(of: head) == "/emit" ? configuration.maxEmitBodyBytes : configuration.maxPayload
    }

    private func isEngineIO(_ path: Substring) -> Bool {
        path.utf8.starts(with: configuration.path.utf8) || path == pathWithoutSlash
    }

    /// The answer to a request whose body is over the limit.
    func bodyTooLarge(_ head: HTTPRequestHead, limit: Int, on shard: Shard) -> HTTPAnswer {
        let sentence = "A body here may have at most \(limit) bytes."
        let path = Self.path(of: head)
        guard emit != nil, path == "/emit" else {
            if isEngineIO(path) { shard.refused(ClientRefusal(.tooLarge), by: { .sender(of: head) }) }
            return .errorPage(.payloadTooLarge, sentence)
        }
        let isJSON = EmitEndpoint.isJSON(head.headers.first(name: "content-type"))
        return isJSON ? .jsonError(.payloadTooLarge, sentence) : .errorPage(.payloadTooLarge, sentence)
    }

    /// A request that is refused before it is whole gets its answer from the connection.
    func noteRefusal(of head: HTTPRequestHead, with status: HTTPResponseStatus) {
        if emit != nil, Self.path(of: head) == "/emit" { metrics.emitResponded(status.code) }
    }

    /// - Parameter channel: the connection, for who is at its other end.
    func route(_ head: HTTPRequestHead, body: ByteBuffer, from channel: any Channel, on shard: Shard) -> HTTPAction {
        let path = Self.path(of: head)
        if purpose == .operators {
            return operations.route(head, path: path, from: .operators, isTrusted: true, on: shard)
                ?? elsewhere(head)
        }
        if isEngineIO(path) {
            return transport.route(head, body: body, on: shard)
        }
        if path == "/emit", let emit { return route(head, body: body, to: emit) }
        if head.uri.utf8.count > path.utf8.count, head.uri.dropFirst(path.count).contains("EIO=") {
            shard.refused(ClientRefusal(.unknownPath, ByteString(String(path))), by: { .sender(of: head) })
        }
        guard purpose == .everybody else { return elsewhere(head) }
        let audience = Self.audience(head, channel.remoteAddress)
        return operations.route(head, path: path, from: audience, isTrusted: false, on: shard)
            ?? elsewhere(head)
    }

    private func elsewhere(_ head: HTTPRequestHead) -> HTTPAction {
        guard head.method != .OPTIONS || head.uri != "*" else {
            var answer = HTTPAnswer(.ok, text: "")
            answer.headers = [("Allow", "GET, HEAD, POST, OPTIONS")]
            return .answer(answer)
        }
        return .answer(finished(.errorPage(.notFound, "There is nothing at this address."), head))
    }

    /// An answer that no endpoint gives: an allowed page may read it, so that its console tells the cause instead of CORS.
    func finished(_ answer: HTTPAnswer, _ head: HTTPRequestHead) -> HTTPAnswer {
        guard purpose != .operators, Self.path(of: head) != "/emit",
            let origin = head.headers.first(name: "origin"), transport.cors.accepts(origin)
        else { return answer }
        return transport.finished(answer, origin)
    }

    /// Whoever asks from this machine, unless a proxy asks for somebody else.
    private static func audience(_ head: HTTPRequestHead, _ peer: SocketAddress?) -> OperationsEndpoint.Audience {
        guard let address = peer?.ipAddress,
            address == "::1" || ["127.", "::ffff:127."].contains(where: address.hasPrefix)
        else { return .anybody }
        let signs = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"]
        return signs.contains { head.headers.contains(name: $0) } ? .anybody : .operators
    }

    private func route(_ head: HTTPRequestHead, body: ByteBuffer, to endpoint: EmitEndpoint) -> HTTPAction {
        switch head.method {
        case .POST: break
        case .OPTIONS:
            var answer = HTTPAnswer(.ok, contentType: HTTPAnswer.html, text: "")
            answer.headers = [("Allow", "POST, OPTIONS")]
            return .answer(answer)
        default:
            var answer = HTTPAnswer.errorPage(.methodNotAllowed, "Send messages with POST.")
            answer.headers = [("Allow", "POST, OPTIONS")]
            return .answer(answer)
        }
        switch endpoint.request(contentType: head.headers.first(name: "content-type"), body: body) {
        case .failure(let answer): return .answer(counted(answer))
        case .success(let request):
            do {
                if request.wantsReport {
                    return later(
                        router.emitReporting(request.emit.payload).map { OperationsEndpoint.answer(.ok, $0.json) })
                }
                switch try router.emit(request.emit) {
                case .now(let obstacle): return .answer(counted(Self.emitted(obstacle)))
                case .later(let emitted): return later(emitted.map { Self.emitted($0) })
                }
            } catch {
                return .answer(counted(Self.unemittable(error)))
            }
        }
    }

    private static let emitted = HTTPAnswer(.ok, contentType: HTTPAnswer.html, text: "OK\n").prepared()

    /// Still 200 when it can't be published: the clients of this server have it, and would get it twice if a backend or a
    /// proxy tried again.
    private static func emitted(_ obstacle: RedisError?) -> HTTPAnswer {
        guard let obstacle else { return emitted }
        let reason = EmitReport.Reason.notPublished(obstacle)
        return OperationsEndpoint.answer(
            .ok, .object([("published", .bool(false)), ("reasons", .list([reason.json]))]))
    }

    private static func unemittable(_ error: any Error) -> HTTPAnswer {
        .jsonError(.badRequest, "The message can't be emitted: \(error).")
    }

    private func later(_ answer: EventLoopFuture<HTTPAnswer>) -> HTTPAction {
        .later(answer.recover { Self.unemittable($0) }.map { [self] in counted($0) })
    }

    private func counted(_ emitAnswer: HTTPAnswer) -> HTTPAnswer {
        metrics.emitResponded(emitAnswer.status.code)
        return emitAnswer
    }

    static func path(of head: HTTPRequestHead) -> Substring {
        let uri = head.uri
        return uri[..<(uri.utf8.firstIndex(of: UInt8(ascii: "?")) ?? uri.endIndex)]
    }
}
