import PubSubMessages
import Testing

@testable import Bridge

@Suite struct ShardOutboxTests {
    private static func emit(_ room: String, _ data: Int = 1) -> String {
        ChannelHarness.message(["room": "\"\(room)\"", "data": "[\(data)]"])
    }

    @Test func `events go to the event loops with members, those of one read in one task`() {
        let bridge = ChannelHarness(loopCount: 3)
        let (here, there) = (bridge.client(loop: 0, in: "r"), bridge.client(loop: 2, in: "r", "s"))
        bridge.publish(Self.emit("r", 1), Self.emit("s", 2), Self.emit("r", 3))
        #expect(here.packets() == [#"42["x",1]"#, #"42["x",3]"#])
        #expect(there.packets() == [#"42["x",1]"#, #"42["x",2]"#, #"42["x",3]"#])
        #expect(bridge.shards[1].counters.packetsQueued == 0)
    }

    @Test func `a command after an event is carried out after it, on each event loop`() {
        let bridge = ChannelHarness(loopCount: 2)
        let clients = [0, 1].map { bridge.client(loop: $0, in: "r") }
        let close = ChannelHarness.message(["method": #""close_room""#, "room": #""r""#])
        bridge.publish(Self.emit("r", 1), close, Self.emit("r", 2))
        for client in clients { #expect(client.packets() == [#"42["x",1]"#]) }
    }

    @Test func `nothing leaves before the read ends`() {
        let bridge = ChannelHarness(loopCount: 2)
        let client = bridge.client(loop: 1, in: "r")
        let before = bridge.shards[1].counters.packetsQueued
        let message = Array(Self.emit("r").utf8)
        bridge.router.received(message.span, on: Span())
        bridge.run()
        #expect(bridge.shards[1].counters.packetsQueued == before)
        bridge.router.receivedBatch()
        #expect(client.packets() == [#"42["x",1]"#])
    }
}
