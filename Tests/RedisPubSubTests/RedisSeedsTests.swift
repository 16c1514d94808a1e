import NIOCore
import NIOEmbedded
import Testing

@testable import RedisPubSub

@Suite struct RedisSeedsTests {
    static let nodes = (1...3).map { RedisURL.Endpoint.tcp(host: "h", port: $0) }

    @Test func `a node that can't be reached or is silent is followed by the next, in a circle`() {
        let seeds = RedisSeeds(Self.nodes, eventLoop: EmbeddedEventLoop())
        #expect(seeds.current == Self.nodes[0])
        seeds.ended(at: Self.nodes[0], cause: .unreachable(reason: "x"), wasReady: false)
        #expect(seeds.current == Self.nodes[1])
        // The other connection says the same of the node that has been left already.
        seeds.ended(at: Self.nodes[0], cause: .unreachable(reason: "x"), wasReady: false)
        #expect(seeds.current == Self.nodes[1])
        seeds.ended(at: Self.nodes[1], cause: .silent, wasReady: true)
        seeds.ended(at: Self.nodes[2], cause: .noMaster(service: "m"), wasReady: true)
        #expect(seeds.current == Self.nodes[0])
    }

    @Test func `a node that dropped a connection is tried once more`() {
        let seeds = RedisSeeds(Self.nodes, eventLoop: EmbeddedEventLoop())
        seeds.ended(at: Self.nodes[0], cause: .closedByServer, wasReady: true)
        seeds.ended(at: Self.nodes[0], cause: .broken(reason: "reset"), wasReady: true)
        #expect(seeds.current == Self.nodes[0])
    }

    @Test func `nodes that the cluster names come after those of the URL, once each and bounded`() {
        let seeds = RedisSeeds(Self.nodes, eventLoop: EmbeddedEventLoop())
        seeds.ended(at: Self.nodes[0], cause: .silent, wasReady: true)
        seeds.learn((2...100).map { .tcp(host: "h", port: $0) })
        #expect(seeds.endpoints == (1...RedisSeeds.maximumEndpoints).map { .tcp(host: "h", port: $0) })
        #expect(seeds.current == Self.nodes[1])
        seeds.learn([])
        #expect(seeds.endpoints == Self.nodes && seeds.current == Self.nodes[1])
    }
}
