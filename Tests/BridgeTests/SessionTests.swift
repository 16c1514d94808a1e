import Bytes
import NIOCore
import NIOEmbedded
import PubSubMessages
import SocketIOProtocol
import Testing

@testable import Bridge

@Suite struct SessionTests {
    @Test func `a poll waits, is answered once, and the next one waits again`() {
        let harness = SessionHarness()
        let session = harness.connected()
        let poll = session.poll()
        #expect(poll.value == nil)
        _ = session.post([#"420["any"]"#])
        #expect(poll.packets == ["430[]"])
        #expect(session.poll().value == nil)
    }

    @Test func `an overlapping poll closes the session and answers both`() {
        let harness = SessionHarness()
        let session = harness.connected()
        let (first, second) = (session.poll(), session.poll())
        #expect(first.text == "1")
        #expect(second.value?.status == .badRequest)
        #expect(harness.table[session.sid] == nil)
    }

    @Test func `an abort of an earlier poll does no harm`() {
        let harness = SessionHarness()
        let session = harness.connected()
        let poll = session.poll()
        let promise = harness.table.eventLoop.makePromise(of: HTTPResponse.self)
        promise.succeed(HTTPResponse(.ok, text: ""))
        session.aborted(PendingPoll(jsonpIndex: nil, promise: promise))
        #expect(poll.value == nil && !session.isClosed)
        if let waiting = session.poll { session.aborted(waiting) }
        #expect(session.isClosed)
    }

    @Test func `a client that closes gets a noop for its poll, and leaves its rooms`() {
        let harness = SessionHarness()
        let session = harness.connected()
        harness.table.registry.enter(session.sockets[0], room: "r")
        let poll = session.poll()
        #expect(session.post(["1", "420[\"any\"]"]) == "OK")
        #expect(poll.text == "6")
        #expect(harness.table.registry.namespaces.isEmpty)
        #expect(harness.table.counters.sessionsClosed == 1)
    }

    @Test func `packets before a broken one count, those after it don't`() {
        let harness = SessionHarness()
        let session = harness.connected()
        #expect(
            session.post([#"42["a"]"#, "x", #"42["b"]"#])
                == #""Invalid payload""#)
        #expect(harness.received == [#"["a"]"#])
        #expect(harness.table.counters.invalidPackets == 1)
    }

    @Test func `the queue is bounded in bytes, and passing the bound closes the session`() {
        let harness = SessionHarness { $0.maxQueuedBytes = 1000 }
        let session = harness.connected()
        let packet = Array(repeating: UInt8(ascii: "4"), count: 496).withUnsafeBytes { EncodedPacket(text: $0) }
        #expect(packet.byteCount == 500)
        session.enqueue(packet)
        session.enqueue(packet)
        #expect(!session.isClosed, "exactly the limit")
        session.enqueue(.bare(.ping))
        #expect(session.isClosed)
        #expect(harness.table.counters.slowClientsClosed == 1)
    }

    @Test func `one packet above the bound is delivered when nothing waits`() {
        let harness = SessionHarness { $0.maxQueuedBytes = 10 }
        let session = harness.table.open(.polling)
        session.enqueue(Array(repeating: UInt8(ascii: "4"), count: 500).withUnsafeBytes { EncodedPacket(text: $0) })
        #expect(session.poll().text?.count == 500)
    }

    private static func packet(_ count: Int) -> EncodedPacket {
        Array(repeating: UInt8(ascii: "4"), count: count).withUnsafeBytes { EncodedPacket(text: $0) }
    }

    @Test func `by default two of the largest messages wait for a poll, and the bound follows their size`() {
        for size in [1 << 20, 3 << 20] {
            let harness = SessionHarness { $0.maxMessageBytes = size }
            let session = harness.connected()
            // A message has an envelope, which its packet lacks.
            for _ in 0..<2 { session.enqueue(Self.packet(size - 100)) }
            #expect(!session.isClosed)
            let packets = [session.poll(), session.poll()].compactMap(\.text?.count)
            #expect(packets == [size - 100, size - 100], "one by one: each poll's answer is a copy")
            for _ in 0..<3 { session.enqueue(Self.packet(size - 100)) }
            #expect(session.isClosed)
        }
    }

    @Test func `by default two messages wait whose JSON is longer than they are`() {
        let harness = SessionHarness { $0.maxMessageBytes = 1000 }
        let session = harness.connected()
        for _ in 0..<2 { session.enqueue(Self.packet(6000)) }
        #expect(!session.isClosed)
        session.enqueue(Self.packet(6000))
        #expect(session.isClosed)
    }

    @Test func `a client that takes nothing of more than 1 MiB for the stall timeout is closed`() {
        let harness = SessionHarness()
        let session = harness.connected()
        let start = EngineIOSession.Instant.now
        session.enqueue(Self.packet(600_000))
        session.timerFired(at: start)
        session.timerFired(at: start + .seconds(11))
        #expect(!session.isClosed, "as much as that may wait")
        for _ in 0..<2 { session.enqueue(Self.packet(600_000)) }
        session.timerFired(at: start - .seconds(30))
        #expect(session.poll().text?.count == 600_000)
        let polled = EngineIOSession.Instant.now
        session.timerFired(at: polled + .seconds(5))
        #expect(!session.isClosed, "it has polled, and 600 kB may take 6 seconds on the way")
        session.timerFired(at: polled + .seconds(17))
        #expect(session.isClosed && harness.table.counters.slowClientsClosed == 1)
    }

    @Test func `a client that asks for acks without reading them is closed before they take much memory`() {
        let harness = SessionHarness()
        let session = harness.connected()
        let events = Array(repeating: #"420["any"]"#, count: 90_000).joined(separator: "\u{1E}")
        #expect(session.post([events]) == "OK", "one post's worth is taken")
        while session.poll().value != nil {}
        for _ in 0..<3 where !session.isClosed { _ = session.post([events]) }
        #expect(session.isClosed && harness.table.counters.slowClientsClosed == 1)
    }

    @Test func `namespaces of a client are bounded`() {
        let harness = SessionHarness {
            $0.maxNamespacesPerSession = 2
            $0.maxNameBytes = 8
        }
        let session = harness.connected()
        _ = session.post(["40/a,", "40/b,", "40/12345678,"])
        let answers = session.poll().packets
        #expect(answers.count == 3 && answers.first?.hasPrefix("40/a,") == true)
        #expect(answers.dropFirst().allSatisfy { $0.hasPrefix("44/") })
        #expect(harness.refusals == [.tooManyNamespaces, .invalidPacket])
    }

    @Test func `nothing leaves before messages for a new socket are routed`() {
        let harness = SessionHarness()
        harness.waiting = []
        let session = harness.table.open(.polling)
        _ = session.post(["40"])
        let poll = session.poll()
        session.enqueue(Self.packet(10))
        harness.flush()
        #expect(poll.value == nil)
        for routed in harness.waiting ?? [] { routed() }
        harness.flush()
        #expect(poll.packets.map { $0.prefix(2) } == ["40", "44"])
    }

    @Test func `acks and events go to the host, which hears of sockets that leave`() {
        let harness = SessionHarness()
        let session = harness.connected()
        let sid = session.sockets.first?.sid
        _ = session.post(["437[1]", #"42["x",2]"#, "41"])
        #expect(harness.received == ["ack [1]", #"["x",2]"#] && harness.disconnected == [sid])
    }
}
