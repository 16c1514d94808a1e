import Bytes
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import PubSubMessages
import RedisPubSub

/// The server: one shard per event loop, the router on the first, HTTP in front.
package struct BridgeServer: Sendable {
    private let configuration: BridgeConfiguration
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    private let router: RouterReference
    private let shards: [NIOLoopBound<Shard>]
    private let endpoints: HTTPEndpoints
    private let adminEndpoints: HTTPEndpoints
    private let readiness: Readiness
    private let scrape: Scrape

    /// - Parameters:
    ///   - group: the event loops; the first also reads Redis.
    ///   - makeBroker: called on the first loop.
    ///   - willStartEpollLoop: called with a loop's index before its epoll loop starts. A test throws here, and websockets
    ///     go over NIO's channels.
    package static func make(
        configuration: BridgeConfiguration, group: MultiThreadedEventLoopGroup,
        logger: Logger,
        willStartEpollLoop: (Int) throws -> Void = { _ in },
        makeBroker: @escaping @Sendable (any EventLoop) -> any PubSubBroker
    ) async throws -> BridgeServer {
        HTTPConnection.prepareParser()
        Memory.prepare()
        let loops = Array(group.makeIterator())
        let hostID = HostID.random()
        let readiness = Readiness(loopCount: loops.count, configuration: configuration)
        let metrics = BridgeMetrics()
        let router = try await loops[0].submit {
            RouterReference(
                Router(
                    broker: makeBroker(loops[0]), configuration: configuration, hostID: hostID, loopCount: loops.count,
                    readiness: readiness, metrics: metrics, logger: logger))
        }.get()
        var shards: [NIOLoopBound<Shard>] = []
        var tables: [NIOLoopBound<SessionTable>] = []
        let connections = OpenConnections(
            limit: configuration.maxConnections, unfinishedLimit: configuration.unfinishedLimit)
        let refusalLog = ClientRefusalLog(configuration, logger: logger)
        for (index, loop) in loops.enumerated() {
            let (shard, table) = try await loop.submit {
                let shard = Shard(
                    eventLoop: loop, loopIndex: index, configuration: configuration, router: router,
                    allConnections: connections, heartbeat: readiness.heartbeats[index],
                    refusalLog: refusalLog, logger: logger)
                shard.start()
                return (NIOLoopBound(shard, eventLoop: loop), NIOLoopBound(shard.sessions, eventLoop: loop))
            }.get()
            shards.append(shard)
            tables.append(table)
        }
        await Self.startEpollLoops(of: shards, logger, willStart: willStartEpollLoop)
        try await router.start(shards: shards).get()
        let scrape = Scrape(shards: shards, router: router)
        let secret = configuration.emitSecret.flatMap { $0.isEmpty ? nil : Array($0.utf8) }
        let explainer = Explainer(
            configuration: configuration, hostID: hostID, shards: shards, router: router, scrape: scrape)
        let operations = OperationsEndpoint(
            readiness: readiness, scrape: scrape, metrics: metrics, explainer: explainer, secret: secret)
        let transport = TransportEndpoint(configuration: configuration, tables: tables)
        let makeEndpoints = { purpose in
            HTTPEndpoints(
                purpose: purpose, transport: transport, emit: secret.map { EmitEndpoint(secret: $0, hostID: hostID) },
                operations: operations, metrics: metrics, router: router, configuration: configuration)
        }
        return BridgeServer(
            configuration: configuration, group: group, logger: logger, router: router, shards: shards,
            endpoints: makeEndpoints(configuration.hasAdminListener ? .pages : .everybody),
            adminEndpoints: makeEndpoints(.operators), readiness: readiness, scrape: scrape)
    }

    /// Starts the epoll loops of all event loops, or of none.
    ///
    /// - Parameter willStart: called with a loop's index before its epoll loop starts; a test throws here.
    static func startEpollLoops<Host: ConnectionHost>(
        of hosts: [NIOLoopBound<Host>], _ logger: Logger, willStart: (Int) throws -> Void = { _ in }
    ) async {
        do {
            let waker = try unsafe EpollWaker(loopCount: hosts.count)
            for (index, host) in hosts.enumerated() {
                try willStart(index)
                try await host.eventLoop.flatSubmit {
                    host.eventLoop.makeCompletedFuture {
                        try host.value.startEpollLoop(waker, loopIndex: index)
                    }.flatMap { $0 }
                }.get()
            }
        } catch {
            // A loop without one can't take the connections that another accepts, so none of them has one.
            for host in hosts { try? await host.eventLoop.submit { host.value.connections.stopEpollLoop() }.get() }
            logger.warning(
                "falling back to NIO for websockets (slower, more memory): raise the limit on open files or threads",
                metadata: ["cause": "\(error)"])
        }
    }

    /// Binds and accepts.
    ///
    /// - Returns: the listening channel; its local address has the port that the system chose for port 0.
    package func listen(host: String, port: Int) async throws -> any Channel {
        try await Self.bind(host, port, for: shards, group, endpoints)
    }

    /// Binds the operators' listener, on an event loop of its own so that it responds even if the others hang.
    package func listenForOperators(host: String, port: Int, eventLoop: any EventLoop) async throws -> any Channel {
        let (configuration, logger) = (configuration, logger)
        let bound = try await eventLoop.submit {
            let host = AdminHost(
                ConnectionTable(
                    eventLoop: eventLoop, configuration: configuration,
                    total: OpenConnections(limit: BridgeLimits.adminConnections), logger: logger))
            host.start()
            return NIOLoopBound(host, eventLoop: eventLoop)
        }.get()
        return try await Self.bind(host, port, for: [bound], eventLoop, adminEndpoints)
    }

    /// - Parameter hosts: one for each event loop of the group; the first accepts.
    private static func bind<Host: ConnectionHost>(
        _ host: String, _ port: Int, for hosts: [NIOLoopBound<Host>], _ group: any EventLoopGroup,
        _ endpoints: HTTPEndpoints
    ) async throws -> any Channel {
        let first = hosts[0]
        let isDirect = try await first.eventLoop.submit { first.value.connections.epollLoop != nil }.get()
        let channel = try await ServerBootstrap(group: first.eventLoop, childGroup: group)
            // After a restart thousands of pages connect at once.
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // Connections inherit it.
            .serverChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .serverChannelOption(.autoRead, value: !isDirect)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let host = hosts.first(where: { $0.eventLoop === channel.eventLoop })?.value else { return }
                    guard host.mayAccept() else { throw TooManyConnections() }
                    try host.connections.opened(channel)
                    try HTTPConnection.install(on: channel, host: host, endpoints: endpoints)
                }
            }
            .bind(host: host, port: port).get()
        guard isDirect else { return channel }
        try await channel.eventLoop.submit {
            guard let epollLoop = first.value.connections.epollLoop else { throw ChannelError.operationUnsupported }
            let socket = try ListeningSocket(
                try ConnectionDescriptor.duplicate(of: channel).take(), epollLoop: epollLoop, hosts: hosts,
                endpoints: endpoints)
            channel.closeFuture.assumeIsolated().whenComplete { _ in socket.close() }
        }.get()
        return channel
    }

    /// Stops accepting, tells every client, waits for them within the close timeout, and leaves Redis.
    package func shutdown(listener: any Channel) async {
        readiness.update { $0.isStopping = true }
        try? await listener.close().get()
        for shard in shards { try? await shard.eventLoop.submit { shard.value.shutdown() }.get() }
        let deadline = NIODeadline.now() + TimeAmount(configuration.closeTimeout)
        for shard in shards { await Self.waitUntilClosed(shard, deadline: deadline) }
        for shard in shards { try? await shard.eventLoop.submit { shard.value.stop() }.get() }
        await logCounters()
        try? await router.shutdown().get()
    }

    private static func waitUntilClosed(_ shard: NIOLoopBound<Shard>, deadline: NIODeadline) async {
        let promise = shard.eventLoop.makePromise(of: Void.self)
        shard.eventLoop.execute { shard.value.connections.whenAllClosed(promise) }
        shard.eventLoop.scheduleTask(deadline: deadline) { promise.succeed() }
        try? await promise.futureResult.get()
    }

    private func logCounters() async {
        guard let numbers = try? await scrape.collect(on: group.any()).get() else { return }
        var metadata: Logger.Metadata = [:]
        let counters = numbers.total.counters
        let dropped = counters.packetsDroppedSlow.labelled.map { ("packets_dropped_slow_\($0.key)", $0.value) }
        let labelled = (dropped + counters.refusals.labelled).filter { $0.1 > 0 }
        for (name, value) in counters.nonZero + labelled + numbers.router.counters.nonZero {
            metadata[name] = "\(value)"
        }
        logger.info("ws-emit stopped", metadata: metadata)
    }
}

/// Closes a connection beyond the limit as soon as it is accepted.
private struct TooManyConnections: Error {}
