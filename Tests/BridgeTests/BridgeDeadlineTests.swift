import Logging
import NIOCore
import NIOPosix
import RedisPubSub
import Testing

@testable import Bridge

/// Connections that dawdle, against a real server with short deadlines.
@Suite(.serialized) struct BridgeDeadlineTests {
    /// What one client saw until the server closed.
    struct Outcome: Sendable {
        var received: [UInt8]
        var elapsed: Duration
        var text: String { String(decoding: received, as: UTF8.self) }
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var received = ByteBuffer()
        private let done: EventLoopPromise<[UInt8]>
        /// Sent when the first bytes have come.
        private var reply: ByteBuffer?

        init(done: EventLoopPromise<[UInt8]>, reply: ByteBuffer?) {
            self.done = done
            self.reply = reply
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var part = unwrapInboundIn(data)
            received.writeBuffer(&part)
            if let reply {
                self.reply = nil
                context.writeAndFlush(NIOAny(reply), promise: nil)
            }
        }

        func channelInactive(context: ChannelHandlerContext) { done.succeed(Array(received.readableBytesView)) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    /// Sends `opening`, then `reply` to the first answer, and waits until the server ends the connection.
    private static func run(
        _ opening: String, reply: [UInt8]? = nil, _ configure: (inout BridgeConfiguration) -> Void
    ) async throws -> Outcome {
        var configuration = BridgeConfiguration()
        configuration.closeTimeout = .milliseconds(200)
        configure(&configuration)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = try await BridgeServer.make(configuration: configuration, group: group, logger: logger) {
            LocalBroker(eventLoop: $0)
        }
        let listener = try await server.listen(host: "127.0.0.1", port: 0)
        let port = try #require(listener.localAddress?.port)
        let done = group.any().makePromise(of: [UInt8].self)
        let start = ContinuousClock.now
        let client = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Collector(done: done, reply: reply.map { ByteBuffer(bytes: $0) }))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        if !opening.isEmpty { try await client.writeAndFlush(ByteBuffer(string: opening)) }
        let received = try await done.futureResult.get()
        let outcome = Outcome(received: received, elapsed: start.duration(to: .now))
        await server.shutdown(listener: listener)
        try await group.shutdownGracefully()
        return outcome
    }

    private static let webSocket = """
        GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r
        Host: x\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        Sec-WebSocket-Version: 13\r
        \r

        """

    /// A masked frame, the mask being zero.
    private static func frame(_ opcode: UInt8, _ payload: String) -> [UInt8] {
        [0x80 | opcode, 0x80 | UInt8(payload.utf8.count), 0, 0, 0, 0] + Array(payload.utf8)
    }

    /// Deadlines are looked at every 20 ms to 1 s, with default pings every second.
    private static func expect(
        _ outcome: Outcome, after deadline: Duration, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(outcome.elapsed >= deadline, sourceLocation: sourceLocation)
        #expect(outcome.elapsed < deadline + .seconds(8), sourceLocation: sourceLocation)
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["", "GET / HTTP/1.1\r\nHost: x\r\nSlow: "])
    func `a head that doesn't come is not waited for`(opening: String) async throws {
        let outcome = try await Self.run(opening) { $0.headTimeout = .milliseconds(300) }
        Self.expect(outcome, after: .milliseconds(300))
        #expect(outcome.received.isEmpty)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a body that doesn't come is not waited for`() async throws {
        let outcome = try await Self.run(
            "POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4"
        ) { $0.bodyTimeout = .milliseconds(300) }
        Self.expect(outcome, after: .milliseconds(300))
    }

    @Test(.timeLimit(.minutes(1)))
    func `a connection without requests is closed when it was idle long enough`() async throws {
        let outcome = try await Self.run("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n") {
            $0.idleTimeout = .milliseconds(300)
        }
        Self.expect(outcome, after: .milliseconds(300))
        #expect(outcome.text.hasPrefix("HTTP/1.1 404 Not Found\r\n"))
    }

    @Test(.timeLimit(.minutes(1)))
    func `a client that opens no namespace in time is disconnected`() async throws {
        let outcome = try await Self.run(Self.webSocket) { $0.timing.connectTimeout = .milliseconds(300) }
        Self.expect(outcome, after: .milliseconds(300))
        #expect(outcome.text.hasPrefix("HTTP/1.1 101"))
        #expect(outcome.received.suffix(4).elementsEqual([0x88, 2, 0x03, 0xF0]), "a close frame, 1008")
    }

    @Test(.timeLimit(.minutes(1)))
    func `a client that answers our close with nothing is cut off`() async throws {
        let outcome = try await Self.run(Self.webSocket, reply: Self.frame(1, "x")) {
            $0.closeTimeout = .milliseconds(300)
        }
        Self.expect(outcome, after: .milliseconds(300))
        #expect(outcome.received.suffix(4).elementsEqual([0x88, 2, 0x03, 0xEA]), "a close frame, 1002")
    }

    @Test(.timeLimit(.minutes(1)))
    func `a websocket that doesn't answer pings is disconnected`() async throws {
        let outcome = try await Self.run(Self.webSocket, reply: Self.frame(1, "40")) {
            $0.timing.pingInterval = .milliseconds(200)
            $0.timing.pingTimeout = .milliseconds(100)
        }
        Self.expect(outcome, after: .milliseconds(300))
        #expect(outcome.text.contains("\u{1}2"), "after a ping")
    }
}
