import NIOCore
import PubSubMessages
import Testing

@testable import Bridge

/// Deliveries and limits of one event loop.
@Suite struct ShardTests {
    private static func emit(_ data: String = "1", room: String = "r", _ more: [String: String?] = [:]) -> String {
        ChannelHarness.message(["room": "\"\(room)\"", "data": data].merging(more) { $1 })
    }

    @Test func `a slow client that a delivery closes keeps the message from nobody else`() {
        let bridge = ChannelHarness { $0.maxQueuedBytes = 1000 }
        let clients = (0..<3).map { _ in bridge.client(in: "r") }
        let data = "\"\(String(repeating: "x", count: 900))\""
        var received = [0, 0]
        for _ in 0..<3 {
            bridge.publish(Self.emit(data))
            // The one in the middle takes nothing.
            for (index, client) in [clients[0], clients[2]].enumerated() { received[index] += client.packets().count }
        }
        #expect(received == [3, 3])
        #expect(clients[1].session.isClosed && bridge.shards[0].counters.slowClientsClosed == 1)
    }

    @Test func `a list of rooms reaches each client once, and skips those it names`() {
        let bridge = ChannelHarness()
        let (first, second) = (bridge.client(in: "a", "b"), bridge.client(in: "b"))
        bridge.publish(
            ChannelHarness.message(["room": #"["a","b","\#(first.sid)"]"#, "skip_sid": #"["\#(second.sid)"]"#]))
        #expect(first.packets() == [#"42["x",1]"#] && second.packets() == [])
    }

    @Test func `acks that a client owes are bounded, and the oldest is forgotten`() {
        let bridge = ChannelHarness { $0.maxPendingAcks = 1 }
        let client = bridge.client(in: "r")
        for id in [7, 8] { bridge.publish(Self.emit(["callback": #"["room","/",\#(id)]"#])) }
        #expect(client.packets() == [#"421["x",1]"#, #"422["x",1]"#])
        #expect(bridge.shards[0].counters.acksForgotten == 1)
        for id in [1, 2] { client.send("43\(id)[]") }
        #expect(bridge.broker.published.split(separator: "\n").count { $0.contains("callback") } == 1)
    }

    private static func emit(_ more: [String: String?]) -> String { emit("1", room: "r", more) }

    @Test func `connections beyond the limit are refused, counted and logged once`() {
        let bridge = ChannelHarness()
        let shard = bridge.shards[0]
        #expect(shard.mayAccept())
        for _ in 0..<100 { shard.connections.opened() }
        #expect(!shard.mayAccept() && !shard.mayAccept())
        #expect(shard.counters.connectionsAccepted == 1 && shard.counters.connectionsRefused == 2)
        #expect(bridge.logged.count { $0.contains("--max-connections") } == 1)
        shard.connections.closed()
        #expect(shard.mayAccept())
    }

    @Test func `event loops share the first refused connection, which is logged`() {
        let connections = OpenConnections(limit: 1)
        #expect([0, 1, 0].map { _ in connections.isFirstRefusal() } == [true, false, false])
    }

    @Test func `only pages that asked are told of a gap`() {
        let bridge = ChannelHarness()
        let (asked, other) = (bridge.client(in: "r"), bridge.client())
        bridge.router.subscriptionChanged(.lost(cause: .closedByServer, since: .now()))
        bridge.router.subscriptionChanged(.subscribed)
        bridge.publish(Self.emit(room: "other"), ChannelHarness.message(["data": "1"]))
        #expect(asked.packets().count == 2)
        #expect(other.packets() == [#"42["x",1]"#])
        #expect(bridge.shards[0].counters.gapNotices == 1)
    }

    @Test func `a closed session leaves its rooms, and its sid is unknown`() {
        let bridge = ChannelHarness()
        let client = bridge.client(in: "r")
        #expect(bridge.shards[0].sessions[client.session.sid] != nil)
        client.send("1")
        #expect(bridge.shards[0].sessions[client.session.sid] == nil && bridge.shards[0].registry.namespaces.isEmpty)
        bridge.publish(Self.emit())
        #expect(bridge.counters.drops[.noSuchNamespace] == 1)
    }
}
