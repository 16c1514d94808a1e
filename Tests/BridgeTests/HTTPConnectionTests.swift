import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import SocketIOProtocol
import Testing

@testable import Bridge

/// Requests and responses on one connection. The test handles the requests: no network, no router.
@Suite struct HTTPConnectionTests {
    /// Responds to each request with its target and body.
    private final class Handler: HTTPRequestHandler {
        /// The response to `/later`.
        let later: EventLoopPromise<HTTPResponse>

        init(_ eventLoop: any EventLoop) { later = eventLoop.makePromise() }

        deinit { later.fail(ChannelError.ioOnClosedChannel) }

        func bodyLimit(of head: HTTPRequestHead) -> Int { 1000 }
        func route(
            _ head: HTTPRequestHead, body: ByteBuffer, from channel: any Channel, on host: any ConnectionHost
        ) -> HTTPAction {
            if head.uri == "/later" { return .later(later.futureResult) }
            return .respond(HTTPResponse(.ok, text: "\(head.uri) \(String(buffer: body))\n"))
        }
        func response(
            to refusal: HTTPConnectionState.Refusal, of head: HTTPRequestHead, on host: any ConnectionHost
        ) -> HTTPResponse {
            var status = HTTPResponseStatus.badRequest
            if case .malformed(let given, _) = refusal { status = given }
            var response = HTTPResponse(status, text: "\(refusal)")
            response.closesConnection = true
            return response
        }
        func refusedUpgrade(
            _ refusal: EngineIORefusal, of head: HTTPRequestHead, on host: any ConnectionHost
        ) -> HTTPResponse { HTTPResponse(refusal) }
        func finished(_ response: HTTPResponse, _ head: HTTPRequestHead) -> HTTPResponse { response }
        func webSocketRequest(in bytes: ByteBuffer) -> WebSocketRequest? { nil }
    }

    private static func connect() throws -> (client: HTTPClient, handler: Handler) {
        let eventLoop = EmbeddedEventLoop()
        let host = AdminHost(
            ConnectionTable(
                eventLoop: eventLoop, configuration: BridgeConfiguration(), total: OpenConnections(limit: 10),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        let handler = Handler(eventLoop)
        return (try HTTPClient(eventLoop, host, handler), handler)
    }

    /// Requests that offer another protocol, by path, method, body, version and spelling.
    private static let offers: [String] = {
        let upgrades = [
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
            "Upgrade: TLS/1.0\r\nConnection: upgrade",
            "Connection: keep-alive\r\nConnection: x ,UPGRADE ,y\r\nUpgrade: websocket",
            "Upgrade: a, b\r\nProxy-Connection: upgrade",
            "Upgrade:\r\nConnection: Upgrade", "Upgrade: h2c\r\nConnection: keep-alive,\tUpgrade",
            "Upgrade: h2c\r\nConnection: Upgrade\t", "Upgrade: h2c\r\nConnection: notupgrade", "Upgrade: h2c",
            "Connection: Upgrade", "Upgrade: h2c\r\nConnection: close, Upgrade",
        ]
        let bodies = [
            "\r\n", "Content-Length: 0\r\n\r\n", "Content-Length: 5\r\n\r\nHello",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nHel\r\n2\r\nlo\r\n0\r\n\r\n",
        ]
        var requests: [String] = []
        for upgrade in upgrades {
            for path in [
                "/socket.io/?EIO=3&transport=websocket", "/socket.io?EIO=4", "/emit", "/livez", "/nothing", "*",
            ] {
                for method in path == "*" ? ["OPTIONS"] : ["GET", "POST", "HEAD", "OPTIONS", "PUT"] {
                    for body in bodies {
                        requests.append("\(method) \(path) HTTP/1.1\r\nHost: x\r\n\(upgrade)\r\n\(body)")
                    }
                    requests.append("\(method) \(path) HTTP/1.0\r\nConnection: keep-alive\r\n\(upgrade)\r\n\r\n")
                }
            }
        }
        return requests
    }()

    private static let next = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    /// The end of the response to it.
    private static let nextEnd = "\r\n\r\n/readyz \n"

    /// Whether a request is answered, and either the next one too or the connection closes.
    private static func goesOn(_ answers: String) -> Bool {
        guard answers.hasPrefix("HTTP/1.1 ") else { return false }
        if answers.contains("Connection: close\r\n") { return answers.firstRange(of: nextEnd) == nil }
        return answers.firstRange(of: nextEnd) != nil
    }

    @Test func `an offer of another protocol that is not taken leaves the connection alive or closes it`() throws {
        for offer in Self.offers {
            let connection = try Self.connect().client
            connection.send(offer)
            connection.send(Self.next)
            let answers = try connection.responses()
            #expect(Self.goesOn(answers), "\(offer)\n\(answers)")
            let pipelined = try Self.connect().client
            pipelined.send(offer + offer + Self.next)
            #expect(Self.goesOn(try pipelined.responses()), "in one read: \(offer)")
        }
    }

    @Test(arguments: [0, 7, 100, 271, 320]) func `an offer may come byte by byte`(index: Int) throws {
        let connection = try Self.connect().client
        for byte in Array((Self.offers[index] + Self.next).utf8) { connection.send([byte]) }
        #expect(Self.goesOn(try connection.responses()), "\(Self.offers[index])")
    }

    @Test func `a client that offers h2c with each request is served on one connection`() throws {
        let connection = try Self.connect().client
        let body = #"{"event":"u","room":"r","data":1,"secret":"123"}"#
        let emit = """
            POST /emit HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\
            Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)
            """
        connection.send(String(repeating: emit, count: 50))
        for _ in 0..<50 { connection.send(emit) }
        let answers = try connection.responses()
        #expect(answers.ranges(of: "HTTP/1.1 200 OK").count == 100 && !answers.contains("close"))
    }

    @Test func `an offer is recognized exactly where the parser stands still, or called unclear`() throws {
        var random = SplitMix(state: 3)
        let pieces = [
            "upgrade", "Upgrade", "UPGRADE", "close", "keep-alive", "x", "upgradex", "xupgrade", "up", ",", ", ", " ,",
            " ", "\t",
            "\t,", ",,", ",\t", "",
        ]
        let names = [
            "Upgrade", "upgrade", "Connection", "connection", "CONNECTION", "Proxy-Connection", "Upgrade-Insecure",
        ]
        var seen: [RequestFraming.UpgradeOffer: Int] = [:]
        for _ in 0..<20_000 {
            var request = "GET /a HTTP/1.1\r\nHost: x\r\n"
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let value = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                    pieces.randomElement(using: &random) ?? ""
                }
                request += "\(names.randomElement(using: &random) ?? "X"):\(value.joined())\r\n"
            }
            let channel = EmbeddedChannel()
            defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
            try channel.pipeline.syncOperations.addHandler(HTTPConnection.makeParser())
            _ = try? channel.writeInbound(ByteBuffer(string: request + "\r\n" + Self.next))
            var heads: [HTTPRequestHead] = []
            while let part = try channel.readInbound(as: HTTPServerRequestPart.self) {
                if case .head(let head) = part { heads.append(head) }
            }
            guard let head = heads.first, head.isKeepAlive else { continue }
            let offer = RequestFraming(head).upgradeOffer
            seen[offer, default: 0] += 1
            let standsStill = heads.count == 1
            #expect(offer == .unclear || standsStill == (offer == .plain), "\(request)")
        }
        #expect(seen.count == 3 && seen.values.allSatisfy { $0 > 200 }, "the comparison compares something: \(seen)")
    }

    @Test func `CONNECT is refused and the connection closes`() throws {
        for head in ["Host: x", "Host: x\r\nContent-Length: 3", "Host: x\r\nTransfer-Encoding: chunked"] {
            let connection = try Self.connect().client
            connection.send("CONNECT x:443 HTTP/1.1\r\n\(head)\r\n\r\nabc")
            connection.send(Self.next)
            let answers = try connection.responses()
            #expect(answers.hasPrefix("HTTP/1.1 405 Method Not Allowed\r\n") && Self.goesOn(answers), "\(answers)")
        }
    }

    @Test(
        arguments: [
            // No Host, two, or none that could be one.
            "GET /livez HTTP/1.1\r\n\r\n", "GET /livez HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET /livez HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET /livez HTTP/1.1\r\nHost: a/b\r\n\r\n", "GET /livez HTTP/1.1\r\nHost: a@b\r\n\r\n",
            "GET http://x/livez HTTP/1.1\r\n\r\n",
            // Lengths
            "POST /emit HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775808\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            "POST /emit HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc",
            "POST /emit HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
            "POST /emit HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc",
            "POST /emit HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\nabc",
            // Transfer codings
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nabc",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\nabc",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /emit HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            // Chunks
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;\r\nx\r\n0\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a\u{0}b\r\nx\r\n0\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a\rb\r\nx\r\n0\r\n\r\n",
            "POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\"b\r\nx\r\n0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /livez HTTP/3.0\r\nHost: x\r\n\r\n",
        ])
    func `a message that is none is answered with 400 and the connection closes`(request: String) throws {
        for isCut in [false, true] {
            let connection = try Self.connect().client
            if isCut { for byte in Array(request.utf8) { connection.send([byte]) } } else { connection.send(request) }
            for _ in 0..<3 { connection.send(Self.next) }
            let answers = try connection.responses()
            #expect(
                answers.hasPrefix("HTTP/1.1 400 Bad Request\r\n") && answers.contains("Connection: close\r\n"),
                "\(answers)")
            #expect(answers.ranges(of: "HTTP/1.1 ").count == 1, "\(answers)")
        }
    }

    @Test(
        arguments: [
            "GET /livez HTTP/1.0\r\n\r\n", "GET /livez HTTP/1.1\r\nHost:\r\n\r\n",
            "GET /livez HTTP/1.1\r\nHost: [::1]:8899\r\n\r\n",
            "GET /livez HTTP/1.1\r\nhOST: ws_emit-1.example:80 \r\n\r\n",
            "GET http://other/livez HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET HTTPS://u@[::1]:1/livez?a HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked \r\n\r\n1;a=b\r\nx\r\n0\r\nA: b\r\n\r\n",
            "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1 \r\n\r\nx",
            "OPTIONS /livez HTTP/1.0\r\n\r\n", "HEAD /livez HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        ])
    func `a message of unusual form is read`(request: String) throws {
        let connection = try Self.connect().client
        connection.send(request)
        let answers = try connection.responses()
        #expect(answers.hasPrefix("HTTP/1.1 200 OK\r\n"), "\(answers)")
    }

    @Test(
        arguments: [
            ("/a", "/a"), ("http://x", "/"), ("http://x/a?b=c://d", "/a?b=c://d"), ("ws://x:1?a", "/?a"),
            ("http://[::1]:80/", "/"), ("*", "*"), ("/a://b", "/a://b"), ("", ""),
        ])
    func `a target in absolute form means its path`(target: String, origin: String) {
        #expect(RequestFraming.originForm(ofAbsolute: target) ?? target == origin)
    }

    @Test func `responses keep the order of the requests, and nothing is read while one is awaited`() throws {
        let (connection, handler) = try Self.connect()
        connection.send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n" + Self.next + Self.next)
        #expect(try connection.responses() == "")
        handler.later.succeed(HTTPResponse(.ok, text: "first\n"))
        connection.send("")
        let responses = try connection.responses()
        #expect(responses.contains("\r\n\r\nfirst\nHTTP/1.1 200 OK\r\n"), "\(responses)")
        #expect(responses.ranges(of: Self.nextEnd).count == 2, "\(responses)")
    }

    @Test func `a body over the limit is refused, and the connection closes`() throws {
        let (connection, _) = try Self.connect()
        connection.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
        let responses = try connection.responses()
        #expect(responses.contains("bodyTooLarge(limit: 1000)") && responses.contains("Connection: close"))
    }

    private static let chunkedHead = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    @Test(arguments: ["3e9", "7fffffff", "ffffffffffffffff"])
    func `a chunk is refused once when its bytes pass the limit, whatever size it declares`(size: String) throws {
        let (connection, _) = try Self.connect()
        connection.send(Self.chunkedHead + size + "\r\n")
        for _ in 0..<10 { connection.send(String(repeating: "x", count: 100)) }
        #expect(try connection.responses() == "", "the limit itself is no fault")
        for _ in 0..<3 { connection.send("x" + Self.next) }
        let responses = try connection.responses()
        #expect(responses.contains("bodyTooLarge(limit: 1000)") && responses.contains("Connection: close"))
        #expect(responses.ranges(of: "HTTP/1.1 ").count == 1, "\(responses)")
    }

    @Test(arguments: [";a=b", ";a=\"b;\\\"c\"", ";" + String(repeating: "a", count: 100_000)])
    func `the extensions of a chunk are dropped as they come`(extensions: String) throws {
        let (connection, _) = try Self.connect()
        for part in [Self.chunkedHead, "2" + extensions, "\r\nHe\r\n", "000003" + extensions, "\r\nllo\r\n0\r\n\r\n"] {
            connection.send(part)
        }
        connection.send(Self.next)
        let responses = try connection.responses()
        #expect(responses.contains("\r\n\r\n/a Hello\n") && responses.hasSuffix(Self.nextEnd), "\(responses)")
    }

    @Test(arguments: [(100_000, 1), (1, 20_000)])
    func `the fields behind the last chunk are limited as those of a head`(length: Int, count: Int) throws {
        let (connection, _) = try Self.connect()
        connection.send(Self.chunkedHead + "1\r\nx\r\n0\r\n")
        let field = "A: " + String(repeating: "a", count: length) + "\r\n"
        connection.send(String(repeating: field, count: count) + "\r\n" + Self.next)
        let responses = try connection.responses()
        #expect(responses.hasPrefix("HTTP/1.1 400 Bad Request\r\n"), "\(responses)")
        #expect(responses.ranges(of: "HTTP/1.1 ").count == 1, "\(responses)")
    }
}
