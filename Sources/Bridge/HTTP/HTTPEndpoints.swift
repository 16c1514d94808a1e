import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// What is to be done with a request.
enum HTTPAction {
    case answer(HTTPAnswer)
    case later(EventLoopFuture<HTTPAnswer>)
    case poll(SessionReference, jsonpIndex: Int?)
    /// Upgrade, for a session that polls or a new one.
    case webSocket(SessionReference?)
}

/// The paths the server answers: Engine.IO below its path, `/emit`, and nothing else.
final class HTTPEndpoints: Sendable {
    let transport: TransportEndpoint
    private let emit: EmitEndpoint?
    private let router: RouterReference
    private let configuration: BridgeConfiguration

    init(transport: TransportEndpoint, emit: EmitEndpoint?, router: RouterReference, configuration: BridgeConfiguration)
    {
        self.transport = transport
        self.emit = emit
        self.router = router
        self.configuration = configuration
    }

    func bodyLimit(of head: HTTPRequestHead) -> Int {
        Self.path(of: head) == "/emit" ? configuration.maxEmitBodyBytes : configuration.maxPayload
    }

    func route(_ head: HTTPRequestHead, body: ByteBuffer, on shard: Shard) -> HTTPAction {
        let path = Self.path(of: head)
        if path.hasPrefix(configuration.path) { return transport.route(head, body: body, on: shard) }
        if path == "/emit", let emit { return route(head, body: body, to: emit) }
        return .answer(.errorPage(.notFound, "There is nothing at this address."))
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
        switch endpoint.message(contentType: head.headers.first(name: "content-type"), body: body) {
        case .failure(let answer): return .answer(answer)
        case .success(let payload):
            return .later(
                router.emit(payload).map { HTTPAnswer(.ok, contentType: HTTPAnswer.html, text: "OK\n") }.recover {
                    error in
                    .errorPage(.badRequest, "The message can't be emitted: \(HTMLText.escaped("\(error)")).")
                })
        }
    }

    static func path(of head: HTTPRequestHead) -> Substring {
        head.uri.prefix { $0 != "?" }
    }
}
