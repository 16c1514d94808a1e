import Bytes
import NIOCore
import NIOEmbedded
import PubSubMessages
import SocketIOProtocol
import Testing

@testable import Bridge

@Suite struct SessionTests {
    private static func connected(_ harness: BridgeHarness) -> Session {
        let session = harness.makeSession()
        #expect(harness.post("40", to: session) == "OK")
        #expect(harness.poll(session).text?.hasPrefix(#"40{"sid":""#) == true)
        return session
    }

    @Test func `a poll waits, is answered once, and the next one waits again`() {
        let harness = BridgeHarness()
        let session = Self.connected(harness)
        let poll = harness.poll(session)
        #expect(poll.value == nil)
        _ = harness.post(#"420["any"]"#, to: session)
        #expect(poll.packets == ["430[]"])
        #expect(harness.poll(session).value == nil)
    }

    @Test func `an overlapping poll closes the session and answers both`() {
        let harness = BridgeHarness()
        let session = Self.connected(harness)
        let (first, second) = (harness.poll(session), harness.poll(session))
        #expect(first.text == "1")
        #expect(second.value?.status == .badRequest)
        #expect(harness.shard.session(session.sid) == nil)
    }

    @Test func `an abort of an earlier poll does no harm`() {
        let harness = BridgeHarness()
        let session = Self.connected(harness)
        let poll = harness.poll(session)
        session.pollAborted(id: 999)
        #expect(poll.value == nil && !session.isClosed)
        session.pollAborted(id: 2)
        #expect(session.isClosed)
    }

    @Test func `a client that closes gets a noop for its poll, and leaves its rooms`() {
        let harness = BridgeHarness()
        let session = Self.connected(harness)
        _ = harness.post(#"420["join",{"room":"r"}]"#, to: session)
        #expect(harness.poll(session).packets == [#"430[{"ok":true}]"#])
        let poll = harness.poll(session)
        #expect(harness.post("1", "420[\"any\"]", to: session) == "OK")
        #expect(poll.text == "6")
        #expect(harness.shard.registry.namespaces.isEmpty)
        #expect(harness.shard.counters.sessionsClosed == 1)
    }

    @Test func `packets before a broken one count, those after it don't`() {
        let harness = BridgeHarness()
        let session = Self.connected(harness)
        #expect(
            harness.post(#"42["join",{"room":"r"}]"#, "x", #"42["join",{"room":"s"}]"#, to: session)
                == #""Invalid payload""#)
        #expect(harness.shard.counters.joins == 1)
        #expect(harness.shard.counters.invalidPackets == 1)
    }

    @Test func `the queue is bounded in bytes, and passing the bound closes the session`() {
        var configuration = BridgeConfiguration()
        configuration.maxQueuedBytes = 1000
        let harness = BridgeHarness(configuration)
        let session = Self.connected(harness)
        let packet = Array(repeating: UInt8(ascii: "4"), count: 496).withUnsafeBytes { EncodedPacket(text: $0) }
        #expect(packet.byteCount == 500)
        session.enqueue(packet)
        session.enqueue(packet)
        #expect(!session.isClosed, "exactly the limit")
        session.enqueue(.bare(.ping))
        #expect(session.isClosed)
        #expect(harness.shard.counters.slowClientsClosed == 1)
    }

    @Test func `one packet above the bound is delivered when nothing waits`() {
        var configuration = BridgeConfiguration()
        configuration.maxQueuedBytes = 10
        let harness = BridgeHarness(configuration)
        let session = harness.makeSession()
        session.enqueue(Array(repeating: UInt8(ascii: "4"), count: 500).withUnsafeBytes { EncodedPacket(text: $0) })
        #expect(harness.poll(session).text?.count == 500)
    }

    private static func packet(_ count: Int) -> EncodedPacket {
        Array(repeating: UInt8(ascii: "4"), count: count).withUnsafeBytes { EncodedPacket(text: $0) }
    }

    @Test func `by default two of the largest messages wait for a poll, and the bound follows their size`() {
        for size in [1 << 20, 3 << 20] {
            var configuration = BridgeConfiguration()
            configuration.maxMessageBytes = size
            let harness = BridgeHarness(configuration)
            let session = Self.connected(harness)
            // A message has an envelope, which its packet lacks.
            for _ in 0..<2 { session.enqueue(Self.packet(size - 100)) }
            #expect(!session.isClosed)
            let packets = [harness.poll(session), harness.poll(session)].compactMap(\.text?.count)
            #expect(packets == [size - 100, size - 100], "one by one: each poll's answer is a copy")
            for _ in 0..<3 { session.enqueue(Self.packet(size - 100)) }
            #expect(session.isClosed)
        }
    }

    @Test func `by default two messages wait whose JSON is longer than they are`() {
        var configuration = BridgeConfiguration()
        configuration.maxMessageBytes = 1000
        let harness = BridgeHarness(configuration)
        let session = Self.connected(harness)
        for _ in 0..<2 { session.enqueue(Self.packet(6000)) }
        #expect(!session.isClosed)
        session.enqueue(Self.packet(6000))
        #expect(session.isClosed)
    }

    @Test func `a client that takes nothing of more than 1 MiB for the stall timeout is closed`() {
        let harness = BridgeHarness()
        let session = Self.connected(harness)
        let start = EngineIOSession.Instant.now
        session.enqueue(Self.packet(600_000))
        session.timerFired(at: start)
        session.timerFired(at: start + .seconds(11))
        #expect(!session.isClosed, "as much as that may wait")
        for _ in 0..<2 { session.enqueue(Self.packet(600_000)) }
        session.timerFired(at: start - .seconds(30))
        #expect(harness.poll(session).text?.count == 600_000)
        let polled = EngineIOSession.Instant.now
        session.timerFired(at: polled + .seconds(5))
        #expect(!session.isClosed, "it has polled, and 600 kB may take 6 seconds on the way")
        session.timerFired(at: polled + .seconds(17))
        #expect(session.isClosed && harness.shard.counters.slowClientsClosed == 1)
    }

    @Test func `a client that asks for acks without reading them is closed before they take much memory`() {
        let harness = BridgeHarness()
        let session = Self.connected(harness)
        let events = Array(repeating: #"420["any"]"#, count: 90_000).joined(separator: "\u{1E}")
        #expect(harness.post(events, to: session) == "OK", "one post's worth is taken")
        while harness.poll(session).value != nil {}
        for _ in 0..<3 where !session.isClosed { _ = harness.post(events, to: session) }
        #expect(session.isClosed && harness.shard.counters.slowClientsClosed == 1)
    }

    @Test func `rooms, namespaces and names of a client are bounded`() {
        var configuration = BridgeConfiguration()
        configuration.maxRoomsPerSocket = 2
        configuration.maxNamespacesPerSession = 2
        configuration.maxNameBytes = 8
        let harness = BridgeHarness(configuration)
        let session = Self.connected(harness)
        let joins = (0..<3).map { "42\($0)[\"join\",{\"room\":\"r\($0)\"}]" }
        for join in joins { _ = harness.post(join, to: session) }
        #expect(harness.poll(session).packets.map { $0.contains(#""ok":true"#) } == [true, true, false])
        _ = harness.post("40/a,", "40/b,", to: session)
        let answers = harness.poll(session).packets
        #expect(answers.first?.hasPrefix("40/a,") == true && answers.last?.hasPrefix("44/b,") == true)
        _ = harness.post(#"427["join",{"room":"012345678"}]"#, to: session)
        #expect(harness.poll(session).text?.contains("too long") == true)
    }

    @Test func `a room-space opens with its secret and with no other`() {
        let harness = BridgeHarness(secrets: [Array("ws-emit::secret::dir".utf8): Array("S3cret".utf8)])
        let session = Self.connected(harness)
        let tries = [#""S3cret""#, #""S3cret ""#, #""s3cret""#, #""""#, "null", "123"]
        for (number, secret) in tries.enumerated() {
            _ = harness.post("42\(number)[\"join\",{\"room\":\"dir::x\",\"secret\":\(secret)}]", to: session)
            #expect(harness.poll(session).text?.contains(#""ok":true"#) == (number == 0), "\(secret)")
        }
    }

    @Test func `the room of another client's sid stays that client's`() throws {
        let harness = BridgeHarness()
        let (owner, other) = (Self.connected(harness), Self.connected(harness))
        let sid = try #require(owner.sockets.first?.sid)
        _ = harness.post("420[\"join\",{\"room\":\"\(sid)\"}]", to: other)
        #expect(harness.poll(other).text?.contains(#""ok":false"#) == true)
        _ = harness.post("420[\"leave\",{\"room\":\"\(sid)\"}]", to: owner)
        #expect(harness.poll(owner).text?.contains(#""ok":false"#) == true)
    }
}
