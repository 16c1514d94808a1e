import JSONCodec
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import RedisPubSub

/// The server: one shard per event loop, the router on the first, HTTP in front.
package final class BridgeServer: Sendable {
    private let configuration: BridgeConfiguration
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    private let router: RouterReference
    private let shards: [NIOLoopBound<Shard>]
    private let endpoints: HTTPEndpoints

    /// - Parameters:
    ///   - group: the event loops; the first also reads Redis.
    ///   - makeBroker: called on the first loop.
    package static func make(
        configuration: BridgeConfiguration, group: MultiThreadedEventLoopGroup, logger: Logger,
        makeBroker: @escaping @Sendable (any EventLoop) -> any PubSubBroker
    ) async throws -> BridgeServer {
        let loops = Array(group.makeIterator())
        let hostID = HostID.make()
        let router = try await loops[0].submit {
            RouterReference(
                Router(
                    broker: makeBroker(loops[0]), configuration: configuration, hostID: hostID, loopCount: loops.count,
                    logger: logger))
        }.get()
        var shards: [NIOLoopBound<Shard>] = []
        for (index, loop) in loops.enumerated() {
            shards.append(
                try await loop.submit {
                    let shard = Shard(
                        eventLoop: loop, loopIndex: index, configuration: configuration, router: router, logger: logger)
                    shard.start()
                    return NIOLoopBound(shard, eventLoop: loop)
                }.get())
        }
        try await router.start(shards: shards).get()
        return BridgeServer(
            configuration: configuration, group: group, logger: logger, router: router, shards: shards, hostID: hostID)
    }

    private init(
        configuration: BridgeConfiguration, group: MultiThreadedEventLoopGroup, logger: Logger,
        router: RouterReference, shards: [NIOLoopBound<Shard>], hostID: ByteString
    ) {
        self.configuration = configuration
        self.group = group
        self.logger = logger
        self.router = router
        self.shards = shards
        let secret = configuration.emitSecret.flatMap { $0.isEmpty ? nil : $0 }
        endpoints = HTTPEndpoints(
            transport: TransportEndpoint(configuration: configuration, shards: shards),
            emit: secret.map { EmitEndpoint(secret: Array($0.utf8), hostID: hostID) },
            router: router, configuration: configuration)
    }

    /// Binds and accepts.
    ///
    /// - Returns: the listening channel; its local address has the port that the system chose when 0 was asked for.
    package func listen(host: String, port: Int) async throws -> any Channel {
        let (shards, endpoints, configuration) = (shards, endpoints, configuration)
        let connectionsPerLoop = max(1, configuration.maxConnections / shards.count)
        return try await ServerBootstrap(group: group)
            // A restart of thousands of pages arrives at once.
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: configuration.writeBufferBytes / 2, high: configuration.writeBufferBytes)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let shard = shards.first(where: { $0.eventLoop === channel.eventLoop })?.value else { return }
                    guard shard.openConnections < connectionsPerLoop, !shard.isShuttingDown else {
                        shard.connectionRefused(limit: configuration.maxConnections)
                        throw TooManyConnections()
                    }
                    try Self.addHTTPHandlers(to: channel, shard: shard, endpoints: endpoints)
                }
            }
            .bind(host: host, port: port).get()
    }

    private static func addHTTPHandlers(to channel: any Channel, shard: Shard, endpoints: HTTPEndpoints) throws {
        shard.connectionOpened(channel)
        let handlers = HTTPHandlers()
        try channel.pipeline.syncOperations.addHandlers([
            handlers.encoder, handlers.decoder, handlers.pipelining,
            HTTPConnection(shard: shard, endpoints: endpoints, httpHandlers: handlers),
        ])
    }

    /// Stops accepting, tells every client, waits for them within the close timeout, and leaves Redis.
    package func shutdown(listener: any Channel) async {
        try? await listener.close().get()
        for shard in shards { try? await shard.eventLoop.submit { shard.value.shutdown() }.get() }
        let deadline = NIODeadline.now() + TimeAmount(configuration.closeTimeout)
        for shard in shards { await Self.waitUntilClosed(shard, deadline: deadline) }
        await logCounters()
        try? await router.shutdown().get()
    }

    private static func waitUntilClosed(_ shard: NIOLoopBound<Shard>, deadline: NIODeadline) async {
        let promise = shard.eventLoop.makePromise(of: Void.self)
        shard.eventLoop.execute { shard.value.whenAllClosed(promise) }
        shard.eventLoop.scheduleTask(deadline: deadline) { promise.succeed() }
        try? await promise.futureResult.get()
    }

    private func logCounters() async {
        var total = BridgeCounters()
        for shard in shards {
            if let counters = try? await shard.eventLoop.submit({ shard.value.counters }).get() { total += counters }
        }
        var metadata: Logger.Metadata = [:]
        for (name, value) in total.nonZero { metadata[name] = "\(value)" }
        if let counters = try? await router.counters().get() {
            for (name, value) in counters.nonZero { metadata[name] = "\(value)" }
        }
        logger.info("ws-emit stopped", metadata: metadata)
    }
}

/// Closes a connection beyond the limit as soon as it is accepted.
private struct TooManyConnections: Error {}

/// The identity under which this process publishes: 32 hexadecimal digits, as python-socketio's `uuid4().hex`.
enum HostID {
    static func make() -> ByteString {
        var generator = SystemRandomNumberGenerator()
        var text = ""
        for _ in 0..<2 {
            let half = String(generator.next() as UInt64, radix: 16)
            text += String(repeating: "0", count: 16 - half.count) + half
        }
        return ByteString(text)
    }
}
