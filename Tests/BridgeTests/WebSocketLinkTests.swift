import Glibc
import Logging
import NIOCore
import NIOPosix
import RedisPubSub
import Testing

@testable import Bridge

/// The two links that carry a websocket's bytes, against a real server: each test runs over both.
@Suite struct WebSocketLinkTests {
    enum Link: CaseIterable {
        /// A `DirectSocket`.
        case direct
        /// A `WebSocketChannelLink`, as on a machine where no epoll instance can be started.
        case channel
    }

    /// Runs `body` with the port of a server of two event loops.
    private static func withServer(
        _ link: Link, _ change: (inout BridgeConfiguration) -> Void = { _ in }, _ body: (Int) throws -> Void
    ) async throws {
        var configuration = BridgeConfiguration()
        configuration.emitSecret = "123"
        configuration.canaryInterval = nil
        configuration.closeTimeout = .seconds(1)
        change(&configuration)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let server = try await BridgeServer.make(
            configuration: configuration, group: group, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            willStartEpollLoop: { _ in if link == .channel { throw ChannelError.operationUnsupported } }
        ) { LocalBroker(eventLoop: $0) }
        let listener = try await server.listen(host: "127.0.0.1", port: 0)
        let result = Result { try body(try #require(listener.localAddress?.port)) }
        await server.shutdown(listener: listener)
        try await group.shutdownGracefully()
        try result.get()
    }

    private static func emit(_ data: String, to room: String, port: Int) throws {
        let body = #"{"event":"e","data":"\#(data)","room":"\#(room)","secret":"123"}"#
        let client = try TCPClient(port: port)
        client.send(
            "POST /emit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                + body)
        #expect(client.receiveHead().hasPrefix("HTTP/1.1 200 OK"))
    }

    /// A client that has joined the room.
    private static func join(_ room: String, port: Int) throws -> TCPClient {
        let client = try TCPClient(port: port)
        client.openWebSocket()
        #expect(client.receiveText().hasPrefix("0{"))
        client.send(text: "40")
        #expect(client.receiveText().hasPrefix(#"40{"sid":"#))
        client.send(text: #"420["join",{"room":"\#(room)"}]"#)
        #expect(client.receiveText() == #"430[{"ok":true}]"#)
        return client
    }

    @Test(.timeLimit(.minutes(1)), arguments: Link.allCases)
    func `a websocket opens, joins and receives`(link: Link) async throws {
        try await Self.withServer(link) { port in
            let client = try Self.join("r", port: port)
            for data in ["a", "b"] {
                try Self.emit(data, to: "r", port: port)
                #expect(client.receiveText() == #"42["e","\#(data)"]"#)
            }
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: Link.allCases)
    func `bytes that follow the request at once reach the session, however the request is cut`(link: Link) async throws
    {
        let head = Array(TCPClient.webSocketRequest(query: "EIO=4&transport=websocket").utf8)
        let bytes = head + TCPClient.frame(1, Array("40".utf8))
        try await Self.withServer(link) { port in
            for cut in [0, 10, head.count - 1, head.count, head.count + 1] {
                let client = try TCPClient(port: port)
                client.send(Array(bytes[..<cut]))
                // No event tells that the server has read half a head; without the pause both parts may come in one read.
                usleep(20_000)
                client.send(Array(bytes[cut...]))
                #expect(client.receiveHead().hasPrefix("HTTP/1.1 101 "))
                #expect(client.receiveText().hasPrefix("0{"))
                #expect(client.receiveText().hasPrefix("40{"), "cut at \(cut)")
            }
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: Link.allCases)
    func `a polling session goes on over its websocket`(link: Link) async throws {
        try await Self.withServer(link) { port in
            let poll = try TCPClient(port: port)
            poll.send("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let opened = poll.receiveAll()
            let start = try #require(opened.firstRange(of: #""sid":""#)?.upperBound)
            let sid = opened[start...].prefix { $0 != "\"" }
            let client = try TCPClient(port: port)
            client.openWebSocket(query: "EIO=4&transport=websocket&sid=\(sid)")
            client.send(text: "2probe")
            #expect(client.receiveText() == "3probe")
            client.send(text: "5")
            client.send(text: "40")
            #expect(client.receiveText().hasPrefix("40{"))
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: Link.allCases)
    func `a client that reads late receives everything, in order`(link: Link) async throws {
        try await Self.withServer(link, { $0.stallTimeout = .seconds(60) }) { port in
            let client = try Self.join("r", port: port)
            let padding = String(repeating: "x", count: 500_000)
            // More than the kernel's buffers hold.
            for index in 0..<20 { try Self.emit("\(index) \(padding)", to: "r", port: port) }
            for index in 0..<20 { #expect(client.receiveText().hasPrefix(#"42["e","\#(index) x"#)) }
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: Link.allCases)
    func `a close frame is answered with its code, and the connection ends`(link: Link) async throws {
        try await Self.withServer(link) { port in
            let client = try Self.join("r", port: port)
            client.send(TCPClient.frame(8, [0x0F, 0xA0]))
            let close = client.receiveFrame()
            #expect(close?.opcode == 8 && close?.payload == [0x0F, 0xA0])
            #expect(client.receiveFrame() == nil, "the end of the stream")
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: Link.allCases)
    func `a frame over the limit is answered with 1009`(link: Link) async throws {
        try await Self.withServer(link, { $0.maxPayload = 1000 }) { port in
            let client = try Self.join("r", port: port)
            client.send(TCPClient.frame(1, Array(repeating: 0x34, count: 1001)))
            let close = client.receiveFrame()
            #expect(close?.opcode == 8 && close?.payload == [0x03, 0xF1])
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: Link.allCases)
    func `a server that stops says goodbye`(link: Link) async throws {
        var client: TCPClient?
        try await Self.withServer(link, { $0.closeTimeout = .milliseconds(100) }) {
            client = try Self.join("r", port: $0)
        }
        let close = try #require(client).receiveFrame()
        #expect(close?.opcode == 8 && close?.payload == [0x03, 0xE9])
    }
}

/// A blocking connection to a server on this machine.
private final class TCPClient {
    private let descriptor: CInt
    private var unread: [UInt8] = []

    init(port: Int) throws {
        descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
        }
        guard result == 0 else { throw IOError(errnoCode: errno, reason: "connecting") }
    }

    deinit { close(descriptor) }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        #expect(Glibc.send(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL)) == bytes.count)
    }

    /// - Returns: whether more bytes have come.
    private func receive() -> Bool {
        var part = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &part, part.count, 0)
        if count > 0 { unread += part.prefix(count) }
        return count > 0
    }

    private func take(_ count: Int) -> [UInt8]? {
        while unread.count < count { if !receive() { return nil } }
        defer { unread.removeFirst(count) }
        return Array(unread.prefix(count))
    }

    /// The head of a response.
    func receiveHead() -> String {
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8), let byte = take(1) { head += byte }
        return String(decoding: head, as: UTF8.self)
    }

    func receiveAll() -> String {
        while receive() {}
        return String(decoding: unread, as: UTF8.self)
    }

    // MARK: Websocket

    static func webSocketRequest(query: String) -> String {
        """
        GET /socket.io/?\(query) HTTP/1.1\r
        Host: x\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        Sec-WebSocket-Version: 13\r
        \r

        """
    }

    /// A masked frame whose mask is zero.
    static func frame(_ opcode: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let length = UInt16(payload.count)
        let size = length < 126 ? [0x80 | UInt8(length)] : [0xFE, UInt8(length >> 8), UInt8(length & 0xFF)]
        return [0x80 | opcode] + size + [0, 0, 0, 0] + payload
    }

    func openWebSocket(query: String = "EIO=4&transport=websocket") {
        send(Self.webSocketRequest(query: query))
        #expect(receiveHead().hasPrefix("HTTP/1.1 101 "))
    }

    func send(text: String) { send(Self.frame(1, Array(text.utf8))) }

    func receiveFrame() -> (opcode: UInt8, payload: [UInt8])? {
        guard let head = take(2) else { return nil }
        var length = Int(head[1])
        if length >= 126 {
            guard let bytes = take(length == 126 ? 2 : 8) else { return nil }
            length = bytes.reduce(0) { $0 << 8 | Int($1) }
        }
        return take(length).map { (head[0] & 15, $0) }
    }

    func receiveText() -> String { String(decoding: receiveFrame()?.payload ?? [], as: UTF8.self) }
}
