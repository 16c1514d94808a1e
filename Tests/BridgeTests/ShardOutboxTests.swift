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

    // MARK: Policies for slow clients

    /// A bridge with rules, and a page in the rooms that doesn't poll.
    private static func bridge(_ rules: String, in rooms: String...) throws -> (ChannelHarness, Client) {
        let rules = try RoomRules(
            [.init(name: "rules", text: Array(rules.utf8), isKeepImplied: false)],
            configuration: BridgeConfiguration())
        let bridge = ChannelHarness { $0.rules = rules }
        let client = bridge.client(in: rooms.first ?? "r", rooms.last ?? "r")
        // The poll that waits is answered, and no other follows.
        bridge.publish(ChannelHarness.message(["event": #""start""#]))
        return (bridge, client)
    }

    private static func emit(_ room: String, _ event: String, _ data: String, _ more: [String: String?] = [:]) -> String
    {
        ChannelHarness.message(["room": "\"\(room)\"", "event": "\"\(event)\"", "data": data].merging(more) { $1 })
    }

    @Test
    func `a rule with slow=latest lets newer events of the same room, event and key take the place of older ones`()
        throws
    {
        let (bridge, client) = try Self.bridge("r* event=price keep key=/sku slow=latest", in: "r1", "r2")
        for number in 1...3 {
            // One read each, and one with all.
            bridge.publish(Self.emit("r1", "price", #"[{"sku":"a","n":\#(number)}]"#))
            bridge.publish(
                Self.emit("r1", "price", #"[{"sku":"b","n":\#(number)}]"#),
                Self.emit("r1", "price", #"[{"n":\#(number)}]"#),
                Self.emit("r2", "price", #"[{"sku":"a","n":\#(number)}]"#), Self.emit("r1", "x", "[\(number)]"),
                Self.emit("r1", "price", #"[{"sku":"a","ack":\#(number)}]"#, ["callback": #"["room","/",7]"#]))
        }
        let packets = client.packets().dropFirst()
        #expect(packets.filter { $0.contains(#""n":3"#) && $0.contains("sku") }.count == 3)
        #expect(packets.filter { $0.contains(#""sku""#) && !$0.contains("ack") }.count == 3, "\(packets)")
        #expect(packets.count { $0.hasPrefix(#"42["price",{"n""#) } == 3, "without the key none takes another's place")
        #expect(packets.count { $0.hasPrefix(#"42["x""#) } == 3, "another event")
        #expect(packets.count { $0.contains("ack") } == 3, "events that ask for acks")
    }

    @Test func `of several rooms the policy that loses least holds, and of several rules the first that has one`()
        throws
    {
        let (bridge, client) = try Self.bridge("a slow=disconnect\n* slow=latest", in: "a", "b")
        for number in 1...3 {
            bridge.publish(Self.emit("b", "x", "[\(number)]"))
            bridge.publish(ChannelHarness.message(["room": #"["a","b"]"#, "event": #""both""#, "data": "[\(number)]"]))
            bridge.publish(ChannelHarness.message(["event": #""all""#, "data": "[\(number)]"]))
        }
        #expect(
            client.packets().dropFirst() == [
                #"42["x",3]"#, #"42["both",1]"#, #"42["all",3]"#, #"42["both",2]"#, #"42["both",3]"#,
            ])
    }

    @Test func `events of different policies are not joined, and those of drop-oldest are`() throws {
        let (bridge, client) = try Self.bridge("r event=d slow=drop-oldest\nr event=l slow=latest")
        bridge.publish(
            Self.emit("r", "d", "[1]"), Self.emit("r", "d", "[2]"), Self.emit("r", "l", "[1]"),
            Self.emit("r", "l", "[2]"),
            Self.emit("r", "k", "[1]"), Self.emit("r", "k", "[2]"))
        #expect(client.session.queue.packetCount == 3)
        #expect(
            client.packets().dropFirst() == [
                #"42["d",1]"#, #"42["d",2]"#, #"42["l",2]"#, #"42["k",1]"#, #"42["k",2]"#,
            ])
    }

    @Test func `a report counts a replaced event as queued`() throws {
        let (bridge, _) = try Self.bridge("r slow=latest")
        for _ in 0..<3 {
            var report: EmitReport?
            let message = Self.emit("r", "x", "[1]", ["host_id": #""0123456789abcdef0123456789abcdef""#])
            try bridge.router.emitReporting(Array(message.utf8)).assumeIsolated().whenSuccess { report = $0 }
            bridge.run()
            #expect(report?.sum.queued == 1)
        }
        #expect(bridge.shards[0].counters.packetsDroppedSlow[.latest] == 2)
    }
}
