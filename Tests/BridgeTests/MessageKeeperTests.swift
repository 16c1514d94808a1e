import Bytes
import Testing

@testable import Bridge

@Suite struct MessageKeeperTests {
    /// A bridge with rules, one a line.
    private static func bridge(loopCount: Int = 1, _ rules: String) throws -> ChannelHarness {
        var given = BridgeConfiguration()
        given.rules = try RoomRules(
            [.init(name: "rules", text: Array(rules.utf8), isKeepImplied: false)], configuration: given)
        let parsed = given.rules
        return ChannelHarness(loopCount: loopCount) { $0.rules = parsed }
    }

    private static func emit(
        _ data: String, room: String = "r", event: String = "x", more: [String: String?] = [:]
    ) -> String {
        ChannelHarness.message(
            ["data": data, "room": room.hasPrefix("[") ? room : "\"\(room)\"", "event": "\"\(event)\""].merging(more) {
                $1
            })
    }

    /// The packets that a new client of a room gets, from its join on.
    private static func join(_ bridge: ChannelHarness, room: String = "r", loop: Int = 0) -> [String] {
        let client = bridge.client(loop: loop)
        client.send(#"421["join",{"room":"\#(room)"}]"#)
        return client.packets()
    }

    @Test(arguments: [1, 2])
    func `a client that joins gets the ack, then what is kept, then newer messages`(loopCount: Int) throws {
        let bridge = try Self.bridge(loopCount: loopCount, "r keep")
        bridge.publish(Self.emit("[1]"), Self.emit("[2]", event: "y"), Self.emit("[3]"))
        let client = bridge.client(loop: loopCount - 1)
        client.send(#"421["join",{"room":"r"}]"#)
        bridge.publish(Self.emit("[4]"))
        #expect(client.packets() == [#"431[{"ok":true,"kept":2}]"#, #"42["y",2]"#, #"42["x",3]"#, #"42["x",4]"#])
    }

    @Test func `a message that is published while a join is under way reaches the client once`() throws {
        let bridge = try Self.bridge(loopCount: 2, "r keep")
        bridge.publish(Self.emit("[1]"))
        let client = bridge.client(loop: 1)
        _ = client.session.received(body: Array(#"421["join",{"room":"r"}]"#.utf8)[...])
        // The router takes the join and the message in either order.
        bridge.publish(Self.emit("[2]"))
        let packets = client.packets()
        #expect(packets.first == #"431[{"ok":true,"kept":1}]"#)
        #expect(packets.last == #"42["x",2]"# && packets.count { $0 == #"42["x",2]"# } == 1, "\(packets)")
    }

    @Test func `nothing is kept without a rule or a word of the message`() throws {
        let bridge = ChannelHarness()
        _ = bridge.client(in: "r")
        bridge.publish(Self.emit("[1]"))
        #expect(bridge.router.keeper.store.isEmpty)
        #expect(Self.join(bridge) == [#"431[{"ok":true}]"#])
    }

    @Test func `the message decides over the rule`() throws {
        let bridge = try Self.bridge("r keep")
        bridge.publish(Self.emit("[1]"), Self.emit("[2]", more: ["keep": "false"]))
        #expect(Self.join(bridge).last == #"42["x",1]"#)
        bridge.publish(Self.emit("[3]", room: "other", more: ["keep": "true"]))
        #expect(Self.join(bridge, room: "other").last == #"42["x",3]"#)
    }

    @Test func `a rule or the message names the key of a value`() throws {
        let bridge = try Self.bridge("shop event=price keep key=/sku")
        func price(_ sku: String, _ price: Int) -> String {
            Self.emit(#"[{"sku":\#(sku),"price":\#(price)}]"#, room: "shop", event: "price")
        }
        bridge.publish(price(#""a""#, 1), price(#""b""#, 2), price(#""a""#, 3))
        #expect(
            Self.join(bridge, room: "shop").dropFirst() == [
                #"42["price",{"sku":"b","price":2}]"#, #"42["price",{"sku":"a","price":3}]"#,
            ])
        bridge.publish(Self.emit("[4]", room: "shop", event: "price", more: ["key": #""b""#]))
        #expect(Self.join(bridge, room: "shop").last == #"42["price",4]"#)
        // No key: one sentence, nothing else changes.
        bridge.publish(price("null", 5), price("null", 6), Self.emit("[7]", room: "shop", event: "price"))
        #expect(Self.join(bridge, room: "shop").count == 3)
        #expect(bridge.logged.count { $0.contains("key /sku") } == 1, "\(bridge.logged)")
    }

    @Test func `a message without data forgets the value`() throws {
        let bridge = try Self.bridge("r keep\nshop keep key=/sku")
        bridge.publish(Self.emit("[1]"), Self.emit("[2]", event: "y"), Self.emit("[]"))
        #expect(Self.join(bridge).dropFirst() == [#"42["y",2]"#])
        bridge.publish(Self.emit("[null]", event: "y"))
        #expect(Self.join(bridge).count == 1)
        let prices = ["a", "b", "c"].map { Self.emit(#"[{"sku":"\#($0)"}]"#, room: "shop") }
        bridge.publish(prices.map { Array($0.utf8) })
        bridge.publish(Self.emit("[]", room: "shop", more: ["key": #""b""#]))
        #expect(Self.join(bridge, room: "shop").count == 3)
        bridge.publish(Self.emit("[]", room: "shop"))
        #expect(Self.join(bridge, room: "shop").count == 1)
    }

    @Test func `an emit to a list of rooms is kept in those that a rule names`() throws {
        let bridge = try Self.bridge("a keep\nb keep")
        bridge.publish(Self.emit("[1]", room: #"["a","b","c"]"#))
        #expect(["a", "b", "c"].map { Self.join(bridge, room: $0).count } == [2, 2, 1])
    }

    @Test func `a message is kept while nobody is there, and counts as one for nobody`() throws {
        let bridge = try Self.bridge("r keep")
        bridge.publish(Self.emit("[1]"))
        #expect(bridge.counters.messagesForNobody == 1 && bridge.router.keeper.store.valueCount == 1)
    }

    @Test func `an emit with a report is kept too`() throws {
        let bridge = try Self.bridge("r keep")
        let message = Self.emit("[1]", more: ["host_id": #""0123456789abcdef0123456789abcdef""#])
        _ = try bridge.router.emitReporting(Array(message.utf8))
        bridge.run()
        #expect(Self.join(bridge).last == #"42["x",1]"#)
    }

    @Test func `a message beyond the bound of its room is not kept, with one sentence`() throws {
        let bridge = try Self.bridge("r keep bytes=2000")
        let long = #"["\#(String(repeating: "x", count: 3000))"]"#
        bridge.publish(Self.emit("[1]"), Self.emit(long), Self.emit(long))
        #expect(Self.join(bridge).count == 1)
        #expect(bridge.logged.count { $0.contains("--keep-room-bytes") } == 1, "\(bridge.logged)")
    }

    @Test func `a rule for all rooms leaves out messages to single clients`() throws {
        let bridge = try Self.bridge("* keep")
        let sid = "AAAAabcdefghijklmnop"
        bridge.publish(Self.emit("[1]", room: sid), Self.emit("[2]", room: "notifications_global"))
        #expect(Self.join(bridge, room: sid).count == 1)
        #expect(Self.join(bridge, room: "notifications_global").last == #"42["x",2]"#)
    }

    @Test func `events that end a client's connection are not kept`() throws {
        let bridge = try Self.bridge("r keep")
        bridge.publish(Self.emit("[1]", event: "connect"), Self.emit("[1]", event: "disconnect"))
        #expect(Self.join(bridge).count == 1)
    }

    @Test(arguments: [1, 2])
    func `a client that a backend enters into a room gets what is kept`(loopCount: Int) throws {
        let bridge = try Self.bridge(loopCount: loopCount, "r keep")
        bridge.publish(Self.emit("[1]"))
        let client = bridge.client(loop: loopCount - 1)
        let enter = ["method": #""enter_room""#, "room": #""r""#, "sid": "\"\(client.sid)\""]
        bridge.publish(ChannelHarness.message(enter), Self.emit("[2]"))
        #expect(client.packets() == [#"42["x",1]"#, #"42["x",2]"#])
    }

    @Test func `the log says once that kept messages make room for newer ones`() throws {
        let bridge = try Self.bridge("r keep values=2")
        bridge.publish((0..<9).map { Array(Self.emit("[1]", event: "e\($0)").utf8) })
        #expect(bridge.logged.count { $0.contains("--keep-room-values") } == 1, "\(bridge.logged)")
    }

    @Test(arguments: [1, 2])
    func `after a gap a page that asked gets the news, then the current values`(loopCount: Int) throws {
        let bridge = try Self.bridge(loopCount: loopCount, "r keep")
        let client = bridge.client(loop: loopCount - 1, in: "r")
        let other = bridge.client(loop: loopCount - 1, in: "other")
        bridge.publish(Self.emit("[1]"))
        _ = client.packets()
        bridge.router.subscriptionChanged(.lost(cause: .closedByServer, since: .now()))
        bridge.router.subscriptionChanged(.subscribed)
        bridge.router.keptMessagesAreCurrent()
        bridge.router.outbox.flush()
        bridge.run()
        let packets = client.packets()
        #expect(packets.first?.contains(#""kept":true"#) == true && packets.last == #"42["x",1]"#, "\(packets)")
        let others = other.packets()
        #expect(others.count == 1 && others.first?.contains("kept") == false, "\(others)")
    }
}
