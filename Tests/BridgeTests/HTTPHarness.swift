import NIOCore
import NIOEmbedded

@testable import Bridge
@testable import RedisPubSub

/// A connection to a bridge of one event loop that answers `POST /emit`, without sockets.
final class HTTPHarness {
    let harness: BridgeHarness
    let broker: RecordingBroker
    private let client: HTTPClient

    init(_ change: (inout BridgeConfiguration) -> Void = { _ in }) throws {
        var configuration = BridgeConfiguration()
        configuration.emitSecret = "123"
        configuration.maxEmitBodyBytes = 1000
        configuration.canaryInterval = nil
        change(&configuration)
        var broker: RecordingBroker?
        harness = BridgeHarness(configuration) { eventLoop in
            let made = RecordingBroker(eventLoop: eventLoop)
            broker = made
            return made
        }
        self.broker = broker ?? RecordingBroker(eventLoop: harness.eventLoop)
        client = try HTTPClient(harness.eventLoop, harness.shard, Self.endpoints(harness))
    }

    private static func endpoints(_ harness: BridgeHarness) -> HTTPEndpoints {
        let (configuration, router) = (harness.configuration, harness.router)
        let shards = [NIOLoopBound(harness.shard, eventLoop: harness.eventLoop)]
        let secret = configuration.emitSecret.map { Array($0.utf8) }
        let metrics = BridgeMetrics()
        let scrape = Scrape(shards: shards, router: router)
        let operations = OperationsEndpoint(
            readiness: Readiness(loopCount: 1, configuration: configuration), scrape: scrape, metrics: metrics,
            explainer: Explainer(
                configuration: configuration, hostID: BridgeHarness.hostID, shards: shards, router: router,
                scrape: scrape
            ),
            secret: secret)
        return HTTPEndpoints(
            purpose: .everybody,
            transport: TransportEndpoint(
                configuration: configuration,
                tables: [NIOLoopBound(harness.shard.sessions, eventLoop: harness.eventLoop)]),
            emit: secret.map { EmitEndpoint(secret: $0, hostID: BridgeHarness.hostID) }, operations: operations,
            metrics: metrics, router: router, configuration: configuration)
    }

    func send(_ text: String) { client.send(text) }

    /// The responses since the last call.
    func answers() throws -> String { try client.responses() }

    /// Posts an emit, and gives the answer.
    func emit(_ body: String) -> String {
        let head =
            "POST /emit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        send(head + body)
        return (try? answers()) ?? ""
    }

    func counters() -> RouterCounters? {
        var counters: RouterCounters?
        harness.router.numbers().assumeIsolated().whenSuccess { counters = $0.counters }
        harness.eventLoop.run()
        return counters
    }
}

/// One HTTP connection of a host, without sockets.
final class HTTPClient {
    private let channel: EmbeddedChannel
    private let eventLoop: EmbeddedEventLoop

    init(_ eventLoop: EmbeddedEventLoop, _ host: any ConnectionHost, _ handler: any HTTPRequestHandler) throws {
        self.eventLoop = eventLoop
        let parser = HTTPConnection.makeParser()
        let connection = HTTPConnection(
            host: host, endpoints: handler, parser: parser, headDeadline: .now() + .hours(1))
        channel = EmbeddedChannel(handlers: [parser, connection], loop: eventLoop)
        let connected = channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1))
        eventLoop.run()
        try connected.wait()
    }

    /// Sends bytes that the server sees in one read.
    func send(_ bytes: [UInt8]) {
        channel.pipeline.fireChannelRead(ByteBuffer(bytes: bytes))
        channel.pipeline.fireChannelReadComplete()
        eventLoop.run()
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    /// The responses since the last call.
    func responses() throws -> String {
        var text = ""
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
        return text
    }
}

/// A broker that keeps what is published.
final class RecordingBroker: PubSubBroker {
    let eventLoop: any EventLoop
    let counters = RedisCounters()
    private(set) weak var delegate: (any PubSubDelegate)?
    /// The commands as they would go to Redis.
    private(set) var published = ""
    /// What `get` answers, by key.
    var values: [[UInt8]: Result<ByteBuffer?, RedisError>] = [:]
    /// Why nothing can be published, as is known before and as comes out afterwards.
    var obstacle: RedisError?
    var failure: RedisError?

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    func start(delegate: any PubSubDelegate) {
        self.delegate = delegate
        delegate.subscriptionChanged(.subscribed)
    }

    func publish(_ payload: ByteBuffer, to redisChannel: String) -> EventLoopFuture<Int> {
        published += "\(redisChannel) \(String(buffer: payload))\n"
        return eventLoop.makeSucceededFuture(1)
    }

    func publish(_ batch: RedisPublishBatch) -> EventLoopFuture<Void> {
        if let failure { return eventLoop.makeFailedFuture(failure) }
        published += String(buffer: batch.commands)
        return eventLoop.makeSucceededVoidFuture()
    }

    func obstacle(toPublishing byteCount: Int) -> RedisError? { obstacle }

    func get(_ key: [UInt8], upTo limit: Int) -> EventLoopFuture<ByteBuffer?> {
        eventLoop.makeCompletedFuture {
            guard let value = try values[key]?.get() else { return nil }
            return value.getSlice(at: 0, length: min(value.readableBytes, limit))
        }
    }

    func shutdown() -> EventLoopFuture<Void> { eventLoop.makeSucceededVoidFuture() }
}
