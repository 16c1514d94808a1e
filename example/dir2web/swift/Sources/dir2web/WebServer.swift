import NIOCore
import NIOHTTP1
import NIOPosix

/// An HTTP server for this machine's browsers. ws-emit alone talks to their sockets.
struct WebServer {
    let port: Int
    let site: Site

    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    func run() async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    return try Connection(wrappingChannelSynchronously: channel)
                }
            }
        note("open http://localhost:\(port) (Ctrl-C ends)")
        try await withThrowingDiscardingTaskGroup { group in
            try await server.executeThenClose { connections in
                for try await connection in connections { group.addTask { await serve(connection) } }
            }
        }
    }

    private func serve(_ connection: Connection) async {
        // Ignores a browser that disconnects in the middle of a response.
        try? await connection.executeThenClose { parts, answers in
            var head: HTTPRequestHead?
            for try await part in parts {
                switch part {
                case .head(let request): head = request
                case .body: break
                case .end:
                    guard let request = head else { return }
                    let answer = await site.answer(request)
                    try await answers.write(contentsOf: [
                        .head(responseHead(answer, to: request)), .body(.byteBuffer(answer.body)), .end(nil),
                    ])
                    if !request.isKeepAlive { return }
                }
            }
        }
    }

    private func responseHead(_ answer: Site.Answer, to request: HTTPRequestHead) -> HTTPResponseHead {
        var headers: HTTPHeaders = [
            "Content-Type": answer.type, "Content-Length": "\(answer.body.readableBytes)",
            "Content-Security-Policy": site.settings.contentSecurityPolicy, "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache",
        ]
        if let location = answer.location { headers.add(name: "Location", value: location) }
        return HTTPResponseHead(version: request.version, status: answer.status, headers: headers)
    }
}
