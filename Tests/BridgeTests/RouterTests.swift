import NIOCore
import PubSubMessages
import Testing

@testable import Bridge

/// Messages from Redis, and what becomes of them.
@Suite struct RouterTests {
    private static func emit(_ event: String = "x", room: String? = nil, _ more: [String: String?] = [:]) -> String {
        ChannelHarness.message(
            ["event": "\"\(event)\"", "room": room.map { "\"\($0)\"" } ?? "null"].merging(more) { $1 })
    }

    private static func order(_ method: String, _ client: Client, room: String? = nil) -> String {
        let members = room.map { #","room":"\#($0)""# } ?? ""
        return #"{"method":"\#(method)","sid":"\#(client.sid)","namespace":"/","host_id":"5"\#(members)}"#
    }

    @Test(arguments: [1, 2])
    func `an emit reaches the members of its room and nobody else`(loopCount: Int) {
        let bridge = ChannelHarness(loopCount: loopCount)
        let members = (0..<loopCount).map { bridge.client(loop: $0, in: "r") }
        let other = bridge.client(loop: loopCount - 1, in: "other")
        bridge.publish(Self.emit(room: "r"))
        for member in members { #expect(member.packets() == [#"42["x",1]"#]) }
        #expect(other.packets() == [])
        bridge.publish(Self.emit())
        #expect(other.packets() == [#"42["x",1]"#])
        bridge.publish(Self.emit(room: "\(other.sid)"))
        #expect(other.packets() == [#"42["x",1]"#], "a sid is a room of one")
        #expect(bridge.counters.messagesDelivered == 3 && bridge.counters.messagesReceived == 3)
    }

    @Test(arguments: [1, 2])
    func `messages of one read act in their order`(loopCount: Int) {
        let bridge = ChannelHarness(loopCount: loopCount)
        let client = bridge.client(loop: loopCount - 1)
        bridge.publish(
            Self.emit("before", room: "r"), Self.order("enter_room", client, room: "r"), Self.emit("x", room: "r"),
            Self.order("leave_room", client, room: "r"), Self.emit("after", room: "r"),
            Self.emit("marker", room: "\(client.sid)"))
        #expect(client.packets() == [#"42["x",1]"#, #"42["marker",1]"#])
    }

    @Test(arguments: [1, 2])
    func `a room that a backend has left empty is unknown again`(loopCount: Int) {
        let bridge = ChannelHarness(loopCount: loopCount)
        let client = bridge.client(loop: loopCount - 1)
        bridge.publish(Self.order("enter_room", client, room: "r"))
        bridge.publish(#"{"method":"close_room","room":"r","namespace":"/","host_id":"5"}"#)
        bridge.publish(Self.emit(room: "r"))
        #expect(client.packets() == [] && bridge.counters.drops[.nobodyInRoom] == 1)
    }

    @Test func `events of one read for the same rooms are one packet, up to a bound`() {
        let bridge = ChannelHarness { $0.maxJoinedBytes = 30 }
        let client = bridge.client(in: "r")
        let before = bridge.shards[0].counters.packetsQueued
        bridge.publish(
            Self.emit("a", room: "r"), Self.emit("b", room: "r"), Self.emit("c", room: "r"), Self.emit("d", room: "r"))
        #expect(client.packets() == ["a", "b", "c", "d"].map { #"42["\#($0)",1]"# })
        #expect(bridge.shards[0].counters.packetsQueued - before == 2, "the third event passes the bound")
    }

    @Test func `an event that skips a client or asks for acks is a packet of its own`() {
        let bridge = ChannelHarness()
        let (first, second) = (bridge.client(in: "r"), bridge.client(in: "r"))
        bridge.publish(
            Self.emit("a", room: "r"), Self.emit("b", room: "r", ["skip_sid": "\"\(first.sid)\""]),
            Self.emit("c", room: "r", ["callback": #"["room","/",7]"#]))
        #expect(first.packets() == [#"42["a",1]"#, #"421["c",1]"#])
        #expect(second.packets() == [#"42["a",1]"#, #"42["b",1]"#, #"421["c",1]"#])
        second.send("431[true]")
        #expect(bridge.broker.published.contains("callback"))
    }

    @Test func `a client is disconnected from its namespace`() {
        let bridge = ChannelHarness(loopCount: 2)
        let client = bridge.client(loop: 1, in: "r")
        bridge.publish(Self.order("disconnect", client), Self.emit(room: "r"))
        #expect(client.packets() == ["41"])
        #expect(bridge.counters.drops[.nobodyInRoom] + bridge.counters.messagesDelivered == 1)
    }

    /// Messages that reach nobody, by the reason that is counted.
    static let drops: [(DropReason, String)] = [
        (.nobodyInRoom, emit(room: "nobody-is-here")), (.noSuchNamespace, message(["namespace": #""/nowhere""#])),
        (.pickle, "\u{80}\u{4}."), (.json, #"{"method":"#), (.notADict, "[1]"), (.empty, ""),
        (.badRoom, message(["room": #"{"a":1}"#])), (.badCallback, message(["callback": "5"])),
        (.noNamespace, message(["namespace": "5"])), (.unknownMethod, message(["method": #""nonsense""#])),
        (.badAttachment, message(["binary": "true", "data": #"[[1],"A"]"#])),
        (.broadcastRoom, message(["method": #""close_room""#])),
        (.noTarget, message(["method": #""disconnect""#])),
        (.unknownSid, message(["method": #""disconnect""#, "sid": #""nobody""#])),
        (.missingKey, #"{"method":"emit","namespace":"/"}"#), (.noMethod, #"{"a":1}"#),
        (.tooLarge, message(["data": "[\"\(String(repeating: "x", count: 3000))\"]"])),
        (
            .unserializable,
            "\u{80}\u{2}}(X\u{6}\u{0}\u{0}\u{0}methodX\u{4}\u{0}\u{0}\u{0}emitX\u{5}\u{0}\u{0}\u{0}eventX\u{1}\u{0}\u{0}\u{0}x"
                + "X\u{4}\u{0}\u{0}\u{0}datac__builtin__\nset\n]K\u{1}a\u{85}R"
                + "X\u{9}\u{0}\u{0}\u{0}namespaceX\u{1}\u{0}\u{0}\u{0}/X\u{4}\u{0}\u{0}\u{0}roomNu."
        ),
    ]

    private static func message(_ changes: [String: String?]) -> String { ChannelHarness.message(changes) }

    /// One byte for each character.
    private static func bytes(_ text: String) -> [UInt8] {
        text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
    }

    @Test(arguments: drops.indices)
    func `each message that reaches nobody counts under its reason, once`(index: Int) {
        let bridge = ChannelHarness { $0.maxMessageBytes = 2000 }
        _ = bridge.client()
        let (reason, message) = Self.drops[index]
        bridge.publish([Self.bytes(message)])
        #expect(bridge.counters.drops[reason] == 1 && bridge.counters.drops.total == 1, "\(reason)")
        #expect(bridge.counters.messagesDelivered == 0)
    }

    @Test func `every reason has such a message`() {
        #expect(Set(Self.drops.map(\.0)) == Set(DropReason.allCases).subtracting([.other]))
    }

    @Test func `a message refused for its data counts once, and its mistakes don't`() {
        let bridge = ChannelHarness()
        _ = bridge.client()
        bridge.publish(Self.message(["binary": "true", "data": #"[[1],"A"]"#, "namespace": "null"]))
        let sender = bridge.router.numbers().senders.first
        #expect(sender?.messages == 1 && sender?.refusals == 1 && sender?.corrected == 0)
        #expect(bridge.counters.messagesRefused == 1 && bridge.counters.messagesCorrected == 0)
    }

    @Test func `a message with a mistake is delivered, counted and explained once`() {
        let bridge = ChannelHarness()
        let client = bridge.client()
        for _ in 0..<2 { bridge.publish(Self.message(["namespace": nil])) }
        #expect(client.packets() == [#"42["x",1]"#, #"42["x",1]"#])
        #expect(bridge.counters.messagesCorrected == 2 && bridge.router.numbers().senders.first?.corrected == 2)
        #expect(bridge.logged.count { $0.contains("namespace") } == 1, "\(bridge.logged)")
    }

    @Test func `a gap is announced to the pages that asked, before the next event`() {
        let bridge = ChannelHarness()
        let client = bridge.client(in: "r")
        bridge.router.subscriptionChanged(.lost(cause: .closedByServer, since: .now()))
        bridge.router.subscriptionChanged(.subscribed)
        #expect(client.packets() == [], "the cause may become clear")
        bridge.publish(Self.emit(room: "r"))
        let packets = client.packets()
        #expect(packets.count == 2 && packets.first?.hasPrefix(#"42["ws-emit:gap",{"from":"#) == true, "\(packets)")
        #expect(packets.last == #"42["x",1]"#)
    }

    @Test func `a gap is announced once its cause is known`() {
        let bridge = ChannelHarness(loopCount: 2)
        let client = bridge.client(loop: 1, in: "r")
        bridge.router.subscriptionChanged(.lost(cause: .closedByServer, since: .now()))
        bridge.router.subscriptionChanged(.subscribed)
        bridge.eventLoops[0].advanceTime(by: .seconds(2))
        bridge.run()
        #expect(client.packets().first?.contains(#""cause":"closed""#) == true)
        bridge.publish(Self.emit(room: "r"))
        #expect(client.packets() == [#"42["x",1]"#], "once")
    }
}
