import NIOCore

/// Finds the server for each attempt of a ``RedisLink`` to connect. Lives on the link's event loop.
protocol RedisLocator: AnyObject {
    /// The server to connect to now. Fails with a ``RedisError``.
    func locate() -> EventLoopFuture<RedisURL.Endpoint>
    /// The connection to this endpoint ended for this cause.
    func ended(at endpoint: RedisURL.Endpoint, cause: RedisError, wasReady: Bool)
    /// The number of endpoints to try before the delays grow.
    var endpointCount: Int { get }
    /// True if the server must say that it is a master (`ROLE`).
    var wantsMaster: Bool { get }
}

/// One server, or several that serve alike: sentinels, or nodes of a cluster. When one fails, the next one is tried.
final class RedisSeeds: RedisLocator {
    private let eventLoop: any EventLoop
    private let seeds: [RedisURL.Endpoint]
    let wantsMaster: Bool
    private(set) var endpoints: [RedisURL.Endpoint]
    private var index = 0

    /// Further nodes are not remembered: a few dozen can't all be away while the cluster is up.
    static let maximumEndpoints = 64

    init(_ endpoints: [RedisURL.Endpoint], eventLoop: any EventLoop, wantsMaster: Bool = false) {
        self.seeds = endpoints
        self.wantsMaster = wantsMaster
        self.endpoints = endpoints
        self.eventLoop = eventLoop
    }

    var endpointCount: Int { endpoints.count }
    var current: RedisURL.Endpoint { endpoints[index] }

    func locate() -> EventLoopFuture<RedisURL.Endpoint> { eventLoop.makeSucceededFuture(current) }

    /// A server is tried once more after a ready connection to it has ended, since only its counters can tell why.
    func ended(at endpoint: RedisURL.Endpoint, cause: RedisError, wasReady: Bool) {
        if wasReady, cause == .closedByServer || cause.isBroken { return }
        guard endpoint == current else { return }
        index = (index + 1) % endpoints.count
    }

    /// Asks a node of the cluster for the others.
    func learnNodes(over connection: RedisConnection, to endpoint: RedisURL.Endpoint) {
        connection.ask(.cluster, ["CLUSTER", "NODES"]).assumeIsolated().whenSuccess { reply in
            guard let text = reply.bytes else { return }
            self.learn(RedisKeyCommands.nodes(in: String(buffer: text), askedAt: endpoint))
        }
    }

    /// Adds nodes that the cluster names; the seeds of the URL stay first.
    func learn(_ others: [RedisURL.Endpoint]) {
        let current = current
        let known = Set(seeds)
        endpoints = seeds + others.filter { !known.contains($0) }.prefix(Self.maximumEndpoints - seeds.count)
        index = endpoints.firstIndex(of: current) ?? 0
    }
}
