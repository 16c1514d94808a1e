import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Bridge

@Suite struct WebSocketRequestTests {
    private static let usual = """
        GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r
        Host: example.com\r
        Connection: keep-alive, Upgrade\r
        User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r
        Upgrade: websocket\r
        Origin: https://example.com\r
        Sec-WebSocket-Version: 13\r
        Accept-Encoding: gzip, deflate\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r
        \r

        """

    private static func request(_ text: String) -> WebSocketRequest? { request(Array(text.utf8)) }

    private static func request(_ bytes: [UInt8]) -> WebSocketRequest? {
        WebSocketRequest(ByteBuffer(bytes: bytes), path: Array("/socket.io/".utf8))
    }

    @Test func `a browser's request is read, up to the bytes behind it`() throws {
        let request = try #require(Self.request(Self.usual + "\u{1}rest"))
        #expect(String(decoding: request.query, as: UTF8.self) == "EIO=4&transport=websocket")
        #expect(String(decoding: request.key, as: UTF8.self) == "dGhlIHNhbXBsZSBub25jZQ==")
        #expect(request.origin.map { String(decoding: $0, as: UTF8.self) } == "https://example.com")
        #expect(request.byteCount == Self.usual.utf8.count)
    }

    @Test(arguments: [
        ("Upgrade: websocket", "upgrade:\t WebSocket"), ("Connection: keep-alive, Upgrade", "CONNECTION: UPGRADE"),
        ("Origin: https://example.com\r\n", ""), ("?EIO=4", "?t=x%20y&EIO=4"),
    ])
    func `spelling that means the same doesn't matter`(old: String, new: String) {
        #expect(Self.request(Self.usual.replacing(old, with: new)) != nil)
    }

    @Test(arguments: [
        ("GET", "POST"), ("GET ", "GET  "), ("HTTP/1.1", "HTTP/1.0"), ("/socket.io/", "/other/"), ("?EIO", "#EIO"),
        ("?EIO", " ?EIO"),
        ("Connection: keep-alive, Upgrade", "Connection: keep-alive"), ("Connection: keep-alive, Upgrade\r\n", ""),
        ("Upgrade: websocket", "Upgrade: h2c"), ("Upgrade: websocket\r\n", "X: y\r\n"), ("13\r\n", "13 \r\n"),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"), ("Sec-WebSocket-Version: 13\r\n", ""),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short"), ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        ("Host:", "Host :"), ("Host:", " Host:"), ("Host:", ":"), ("Host: example.com", "Host"),
        ("Mozilla", "Moz\u{0}illa"),
        ("Mozilla", "Moz\u{E9}lla"), ("Host: example.com\r\n", "Host: example.com\n"),
        ("Host:", "Content-Length: 5\r\nHost:"),
        ("Host:", "Transfer-Encoding: chunked\r\nHost:"), ("Host:", "Expect: 100-continue\r\nHost:"),
        ("Host:", "Origin: http://other\r\nHost:"), ("Host:", "Upgrade: websocket\r\nHost:"),
        ("Host:", "Connection: Upgrade\r\nHost:"), ("Host:", "Sec-WebSocket-Version: 13\r\nHost:"),
        ("Host:", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nHost:"), ("\r\n\r\n", "\r\n"),
        ("Host: example.com\r\n", ""), ("Host:", "host: example.com\r\nHost:"),
        ("example.com\r\nC", "example.com/\r\nC"),
        ("Host:", "Sec-WebSocket-Protocol: a\r\nHost:"), ("/socket.io/?", "/socket.io?"),
        ("/socket.io/", "http://example.com/socket.io/"), ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=a"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ\"="),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub2 jZQ=="),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZWFh"),
    ])
    func `anything else is left to the HTTP parser`(old: String, new: String) {
        let text = Self.usual.replacing(old, with: new)
        #expect(text != Self.usual)
        #expect(Self.request(text) == nil)
    }

    @Test func `a head that is not whole or too long is left to the HTTP parser`() {
        for length in 0..<Self.usual.utf8.count { #expect(Self.request(Array(Self.usual.utf8.prefix(length))) == nil) }
        let lines = String(repeating: "A: b\r\n", count: 100)
        #expect(Self.request(Self.usual.replacing("Host:", with: lines + "Host:")) == nil)
        let cookie = String(repeating: "x", count: 8192)
        #expect(Self.request(Self.usual.replacing("Host:", with: "Cookie: \(cookie)\r\nHost:")) == nil)
    }

    private static func head(_ text: String) throws -> HTTPRequestHead {
        let channel = EmbeddedChannel()
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        try channel.pipeline.syncOperations.addHandler(HTTPConnection.makeParser())
        try channel.writeInbound(ByteBuffer(string: text))
        guard case .head(let head) = try channel.readInbound(as: HTTPServerRequestPart.self) else {
            throw ChannelError.inputClosed
        }
        return head
    }

    @Test(
        arguments: [
            ("engine.io", "engine.io"), ("a, b", "a"), (" ,\t b\t,a", "b"), ("a\r\nSec-WebSocket-Protocol: b", "a"),
            ("\r\nsec-websocket-protocol: v1.x+json", "v1.x+json"), ("", nil),
        ] as [(String, String?)])
    func `the first subprotocol that is offered is chosen`(offer: String, chosen: String?) throws {
        let head = try Self.head(Self.usual.replacing("Host:", with: "Sec-WebSocket-Protocol: \(offer)\r\nHost:"))
        let response = try #require(WebSocketHandshake.response(to: head))
        let lines = String(buffer: response).split(separator: "\r\n").filter { $0.hasPrefix("Sec-WebSocket-Protocol") }
        #expect(lines == (chosen.map { ["Sec-WebSocket-Protocol: \($0)"] } ?? []))
    }

    @Test(arguments: ["a b", "a/b", "\"a\"", "a,b;c", "a, é"])
    func `what can be no subprotocol is refused`(offer: String) throws {
        let head = try Self.head(Self.usual.replacing("Host:", with: "Sec-WebSocket-Protocol: \(offer)\r\nHost:"))
        #expect(WebSocketHandshake.response(to: head) == nil)
    }

    @Test(arguments: [
        "short", "", "dGhlIHNhbXBsZSBub25jZWFh", "dGhlIHNhbXBsZSBub25jZ!==", "dGhlIHNhbXBsZSBub25jZQ",
        "==" + String(repeating: "A", count: 22),
    ])
    func `a key that is not 16 bytes in base64 is refused`(key: String) throws {
        let head = try Self.head(Self.usual.replacing("dGhlIHNhbXBsZSBub25jZQ==", with: key))
        #expect(WebSocketHandshake.isRequested(by: head) && WebSocketHandshake.response(to: head) == nil)
    }

    /// What the HTTP parser makes of the same bytes: query, key and origin, if it is a websocket's request.
    private static func parsed(_ bytes: [UInt8]) -> [String?]? {
        let channel = EmbeddedChannel()
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        _ = try? channel.pipeline.syncOperations.addHandler(HTTPConnection.makeParser())
        _ = try? channel.writeInbound(ByteBuffer(bytes: bytes))
        guard case .head(let head) = try? channel.readInbound(as: HTTPServerRequestPart.self),
            case .end = try? channel.readInbound(as: HTTPServerRequestPart.self),
            head.method == .GET, head.isKeepAlive, WebSocketHandshake.isRequested(by: head),
            RequestFraming(head).fault == nil, WebSocketHandshake.response(to: head) != nil,
            head.uri.hasPrefix("/socket.io/?")
        else { return nil }
        return [
            String(head.uri.dropFirst("/socket.io/?".count)), head.headers.first(name: "sec-websocket-key"),
            head.headers.first(name: "origin"),
        ]
    }

    @Test func `what is read here the HTTP parser reads alike`() {
        var random = SplitMix(state: 7)
        let usual = Array(Self.usual.utf8)
        // Bytes that mean something to a parser, and some of any kind.
        let interesting = Array("\r\n :,;=?#/\t-%HTGEUupgrade0134".utf8)
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = usual
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                let byte =
                    random.next() & 3 == 0
                    ? UInt8.random(in: 0...255, using: &random) : interesting.randomElement(using: &random)
                switch random.next() % 3 {
                case 0: bytes[place] = byte ?? 0
                case 1: bytes.insert(byte ?? 0, at: place)
                default: bytes.remove(at: place)
                }
            }
            guard let request = Self.request(bytes) else { continue }
            accepted += 1
            let texts = [request.query, request.key, request.origin].map {
                $0.map { String(decoding: $0, as: UTF8.self) }
            }
            #expect(
                Self.parsed(Array(bytes[..<request.byteCount])) == texts, "\(String(decoding: bytes, as: UTF8.self))")
        }
        #expect(accepted > 1000, "the comparison compares something")
    }
}
