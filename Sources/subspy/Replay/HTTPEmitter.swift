import ArgumentParser
import NIOCore
import NIOHTTP1
import NIOPosix

/// Posts one request after the other to one server, over one connection as long as that lasts.
final class HTTPEmitter {
    /// The server's response.
    struct Response {
        let status: HTTPResponseStatus
        /// The beginning of the body.
        let body: ByteBuffer
    }

    /// The reason why there is no response.
    enum Failure: Error, CustomStringConvertible {
        case unreachable(String)
        /// The request may have been carried out.
        case noResponse(String)

        var description: String {
            switch self {
            case .unreachable(let reason): "can't be reached: \(reason)"
            case .noResponse(let reason): "has not answered: \(reason)"
            }
        }
    }

    private let run: RunLoop
    private let target: HTTPTarget
    private var connection: HTTPEmitConnection?

    init(run: RunLoop, target: HTTPTarget) {
        self.run = run
        self.target = target
        run.closeAtEnd { [weak self] in self?.close() ?? run.eventLoop.makeSucceededVoidFuture() }
    }

    private func close() -> EventLoopFuture<Void>? {
        connection?.channel.close(promise: nil)
        return connection?.channel.closeFuture
    }

    /// Posts a body of JSON. The next one must wait for the response.
    func post(_ body: [UInt8], _ completed: @escaping (Result<Response, Failure>) -> Void) {
        if let connection, connection.channel.isActive { return send(body, on: connection, completed) }
        ClientBootstrap(group: run.eventLoop).connectTimeout(TimeAmount(Limits.connectTimeout))
            .connect(host: target.host, port: target.port).assumeIsolated().whenComplete { [self] result in
                do {
                    let channel = try result.get()
                    let connection = HTTPEmitConnection(channel)
                    self.connection = connection
                    try channel.pipeline.syncOperations.addHandlers([
                        HTTPRequestEncoder(),
                        // A large body waits for 100 Continue.
                        ByteToMessageHandler(HTTPResponseDecoder(informationalResponseStrategy: .forward)), connection,
                    ])
                    send(body, on: connection, completed)
                } catch {
                    completed(.failure(.unreachable(reason(of: error))))
                }
            }
    }

    private func send(
        _ body: [UInt8], on connection: HTTPEmitConnection, _ completed: @escaping (Result<Response, Failure>) -> Void
    ) {
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: target.path)
        head.headers = [
            "Host": target.authority, "Content-Type": "application/json", "Content-Length": String(body.count),
            "User-Agent": "subspy",
        ]
        // A server that refuses a body of this size can say so before it is sent; the response would be lost otherwise.
        let asksFirst = body.count > Limits.unannouncedBodyBytes
        if asksFirst {
            head.headers.add(name: "Expect", value: "100-continue")
            run.after(Limits.continueTimeout) { connection.sendBody() }
        }
        let timer = run.after(Limits.responseTimeout) {
            connection.fail("nothing came for \(Limits.responseTimeout.components.seconds) s")
        }
        connection.post(head, ByteBuffer(bytes: body), asksFirst: asksFirst) { result in
            timer.cancel()
            completed(result)
        }
    }
}

/// One connection, with the request that waits on it.
private final class HTTPEmitConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    let channel: any Channel
    private var completed: ((Result<HTTPEmitter.Response, HTTPEmitter.Failure>) -> Void)?
    private var unsentBody: ByteBuffer?
    private var status: HTTPResponseStatus?
    private var body = ByteBuffer()
    private var staysOpen = true

    init(_ channel: any Channel) {
        self.channel = channel
    }

    func post(
        _ head: HTTPRequestHead, _ content: ByteBuffer, asksFirst: Bool,
        _ completed: @escaping (Result<HTTPEmitter.Response, HTTPEmitter.Failure>) -> Void
    ) {
        self.completed = completed
        channel.writeAndFlush(HTTPClientRequestPart.head(head), promise: nil)
        unsentBody = content
        if !asksFirst { sendBody() }
    }

    /// Sends the body if it hasn't been sent yet.
    func sendBody() {
        guard let content = unsentBody else { return }
        unsentBody = nil
        channel.write(HTTPClientRequestPart.body(.byteBuffer(content)), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard head.status.code >= 200 else {
                if head.status == .continue { sendBody() }
                return
            }
            status = head.status
            // No request can follow one that was not sent to its end.
            staysOpen = head.isKeepAlive && unsentBody == nil
            unsentBody = nil
            body.clear()
        case .body(let part):
            let room = Limits.responseBytes - body.readableBytes
            body.writeBytes(part.readableBytesView.prefix(max(room, 0)))
        case .end:
            guard let status else { return }
            self.status = nil
            finish(.success(HTTPEmitter.Response(status: status, body: body)))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail("the server closed the connection")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(reason(of: error))
    }

    func fail(_ reason: String) {
        staysOpen = false
        finish(.failure(.noResponse(reason)))
    }

    private func finish(_ result: Result<HTTPEmitter.Response, HTTPEmitter.Failure>) {
        guard let completed else { return }
        self.completed = nil
        if !staysOpen { channel.close(promise: nil) }
        completed(result)
    }
}

/// An error of a connection in the system's words.
private func reason(of error: any Error) -> String {
    if let failure = error as? NIOConnectionError {
        return failure.connectionErrors.last.map { reason(of: $0.error) } ?? "the host name can't be resolved"
    }
    if let failure = error as? IOError { return SystemError.text(of: failure.errnoCode) }
    if case ChannelError.connectTimeout = error { return "connecting took too long" }
    if error is HTTPParserError { return "it does not speak HTTP" }
    return "\(error)"
}

/// The address of a ws-emit's `POST /emit`: `http://host[:port][/path]`.
struct HTTPTarget: CustomStringConvertible {
    let host: String
    let port: Int
    /// `/emit` where the URL has none.
    let path: String

    /// - Throws: a `ValidationError` that repeats nothing of the text, in which a password may stand.
    init(_ argument: String) throws {
        guard let colon = argument.firstIndex(of: ":"), argument[colon...].hasPrefix("://") else {
            throw ValidationError("write http://host:port/emit")
        }
        switch argument[..<colon].lowercased() {
        case "http": break
        case "https":
            throw ValidationError("https is not spoken here: name the address of ws-emit itself, with http://")
        default: throw ValidationError("write http://host:port/emit")
        }
        let rest = argument[argument.index(colon, offsetBy: 3)...]
        let slash = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let authority = rest[..<slash]
        // Not repeated: it may hold a password.
        guard !authority.contains("@") else { throw ValidationError("the URL of /emit has no user and password") }
        (host, port) = try Self.split(authority)
        let path = rest[slash...]
        guard path.utf8.allSatisfy({ 0x21..<0x7F ~= $0 && $0 != UInt8(ascii: "#") }), path.first != "?" else {
            throw ValidationError("the path of the URL must be percent-encoded, without # and with a / first")
        }
        self.path = path.isEmpty || path == "/" ? "/emit" : String(path)
    }

    private static func split(_ authority: Substring) throws -> (host: String, port: Int) {
        var (host, port) = (authority, Substring())
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { throw ValidationError("an IPv6 address ends with ]") }
            host = authority[authority.index(after: authority.startIndex)..<end]
            port = authority[authority.index(after: end)...]
        } else if let colon = authority.firstIndex(of: ":") {
            (host, port) = (authority[..<colon], authority[colon...])
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ 0x21..<0x7F ~= $0 }) else {
            throw ValidationError("the URL names no host")
        }
        if port.isEmpty { return (String(host), 80) }
        guard port.first == ":", let number = UInt16(port.dropFirst()), number > 0 else {
            throw ValidationError("the port of the URL is no number from 1 to 65535")
        }
        return (String(host), Int(number))
    }

    /// As the Host header names it.
    var authority: String { (host.contains(":") ? "[\(host)]" : host) + (port == 80 ? "" : ":\(port)") }

    var description: String { "http://\(authority)\(path)" }

    /// True when the address as it is written certainly is this machine's.
    var isOnThisMachine: Bool { LoopbackHost.isCertain(host) }
}

/// Names of this machine.
enum LoopbackHost {
    static func isCertain(_ host: String) -> Bool {
        host == "localhost" || host == "::1"
            || host.hasPrefix("127.")
                && host.utf8.allSatisfy { $0 == UInt8(ascii: ".") || 0x30..<0x3A ~= $0 }
    }
}
