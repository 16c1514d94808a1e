import Bytes
import JSONCodec
import Testing

@testable import Bridge

@Suite struct RoomLookupTests {
    private static func lookup(_ bridge: ChannelHarness, _ rooms: ByteString..., namespace: ByteString = "/")
        -> RoomLookup
    {
        bridge.shards.reduce(into: RoomLookup()) { $0.add($1.lookUp(rooms, in: namespace)) }
    }

    @Test func `members are counted over all event loops, and a sid is a room of one`() {
        let bridge = ChannelHarness(loopCount: 2)
        let clients = [0, 0, 1].map { bridge.client(loop: $0, in: "r") }
        let lookup = Self.lookup(bridge, "r", clients[0].sid, "empty")
        #expect(lookup.members == ["r": 3, clients[0].sid: 1, "empty": 0] && lookup.sockets == 3)
    }

    @Test func `for an empty room, similar names and other namespaces are found`() {
        let bridge = ChannelHarness(loopCount: 2)
        _ = bridge.client(loop: 0, in: "Time")
        _ = bridge.client(loop: 1, in: "tmie", "unlike")
        _ = bridge.client(loop: 1, in: "time", namespace: "/chat")
        let lookup = Self.lookup(bridge, "time")
        #expect(lookup.members == ["time": 0] && lookup.elsewhere == ["time": ["/chat"]])
        #expect(Set(lookup.similar["time"] ?? []) == ["Time", "tmie"])
        #expect(Set(lookup.namespaces) == ["/", "/chat"])
    }

    @Test func `a room with members needs no suggestions`() {
        let bridge = ChannelHarness()
        _ = bridge.client(in: "time", "times")
        let lookup = Self.lookup(bridge, "time")
        #expect(lookup.similar.isEmpty && lookup.elsewhere.isEmpty)
    }

    @Test func `a namespace without clients has none in any room`() {
        let bridge = ChannelHarness()
        _ = bridge.client(in: "time")
        let lookup = Self.lookup(bridge, "time", namespace: "/none")
        #expect(lookup.sockets == 0 && lookup.members == ["time": 0] && lookup.elsewhere == ["time": ["/"]])
    }

    @Test func `of a long list only the first rooms are looked up`() {
        let lookup = ChannelHarness().shards[0].lookUp((0..<50).map { ByteString("r\($0)") }, in: "/")
        #expect(lookup.members.count == BridgeLimits.reportedRooms)
    }
}
