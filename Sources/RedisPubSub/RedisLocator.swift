import NIOCore

/// Says where a ``RedisLink`` is to connect; asked before each attempt. Lives on the link's event loop.
protocol RedisLocator: AnyObject {
    /// Where to connect now. Fails with a ``RedisError``.
    func locate() -> EventLoopFuture<RedisURL.Endpoint>
    /// The connection to this endpoint ended for this cause.
    func ended(at endpoint: RedisURL.Endpoint, cause: RedisError, wasReady: Bool)
    /// So many endpoints are tried in turn before the delays grow.
    var endpointCount: Int { get }
    /// Whether the server must say that it is a master (`ROLE`).
    var wantsMaster: Bool { get }
}

/// One server, or several of which any will do: sentinels, or nodes of a cluster. Goes on to the next when one fails.
final class RedisSeeds: RedisLocator {
    private let eventLoop: any EventLoop
    private let seeds: [RedisURL.Endpoint]
    let wantsMaster: Bool
    private(set) var endpoints: [RedisURL.Endpoint]
    private var index = 0

    /// Nodes beyond are not remembered: a few dozen of them can't all be away while the cluster lives.
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

    /// A server that lost or dropped one connection is tried once more before the next one: it is the only one whose
    /// counters can tell why.
    func ended(at endpoint: RedisURL.Endpoint, cause: RedisError, wasReady: Bool) {
        if wasReady, cause == .closedByServer || cause.isBroken { return }
        guard endpoint == current else { return }
        index = (index + 1) % endpoints.count
    }

    /// Adds nodes that the cluster names; the seeds of the URL stay first.
    func learn(_ others: [RedisURL.Endpoint]) {
        let current = current
        let known = Set(seeds)
        endpoints = seeds + others.filter { !known.contains($0) }.prefix(Self.maximumEndpoints - seeds.count)
        index = endpoints.firstIndex(of: current) ?? 0
    }
}
