import Bytes
import JSONCodec
import NIOCore
import Testing

@testable import Bridge

@Suite struct RouterReferenceTests {
    @Test func `a call of another event loop waits for the router's`() {
        let bridge = ChannelHarness(loopCount: 2)
        #expect(
            bridge.reference.isLocal(to: bridge.eventLoops[0]) && !bridge.reference.isLocal(to: bridge.eventLoops[1]))
        bridge.reference.roomChanged(namespace: "/", room: nil, isAlive: true, loop: 1)
        #expect(!bridge.router.rooms.isKnown("/"))
        bridge.run()
        #expect(bridge.router.rooms.isKnown("/"))
    }

    @Test func `a round trip ends on its event loop, after the reports before it`() {
        let bridge = ChannelHarness(loopCount: 2)
        let isKnown = NIOLoopBoundBox(false, eventLoop: bridge.eventLoops[1])
        let router = NIOLoopBound(bridge.router, eventLoop: bridge.eventLoops[0])
        bridge.reference.roomChanged(namespace: "/", room: nil, isAlive: true, loop: 1)
        bridge.reference.roundTrip(to: bridge.eventLoops[1]) { _ in isKnown.value = router.value.rooms.isKnown("/") }
        bridge.eventLoops[1].run()
        #expect(!isKnown.value)
        bridge.run()
        #expect(isKnown.value)
    }

    @Test func `an entry that was expected counts once`() {
        let bridge = ChannelHarness(loopCount: 2)
        let client = bridge.client(loop: 1)
        let enter = ChannelHarness.message(["method": #""enter_room""#, "sid": "\"\(client.sid)\"", "room": #""r""#])
        bridge.publish(enter, ChannelHarness.message(["room": #""r""#]))
        #expect(client.packets() == [#"42["x",1]"#])
        client.send(#"42["leave",{"room":"r"}]"#)
        #expect(bridge.router.rooms.otherLoops(with: .these(["r"]), of: "/") == [])
    }

    @Test func `a sid is looked up on the event loop of its client`() throws {
        let bridge = ChannelHarness(loopCount: 2)
        let client = bridge.client(loop: 1)
        for (namespace, expected) in [("/", true), ("/chat", false)] as [(ByteString, Bool)] {
            let found = bridge.reference.hasSocket(client.sid, in: namespace, loop: 1)
            bridge.run()
            #expect(try found.wait() == expected)
        }
    }
}
