import Bytes
import NIOCore
import SocketIOProtocol
import Testing

@testable import Bridge

/// Sessions of clients that read more slowly than packets come.
@Suite struct SessionSlowTests {
    /// A websocket's bytes, which the client takes or doesn't.
    private final class Link: WebSocketLink {
        var isWritable = true
        var unsentBytes = 0
        let openDescriptor: CInt = -1
        private(set) var sent = ByteBuffer()

        func write(_ bytes: ByteBuffer) { sent.writeImmutableBuffer(bytes) }
        func close() {}
        func closeWhenSent() {}

        /// The texts of the frames since the last call.
        func texts() -> [String] {
            var found: [String] = []
            while sent.readInteger(as: UInt8.self) != nil, let length = sent.readInteger(as: UInt8.self) {
                let longer = length == 126 ? sent.readInteger(as: UInt16.self).map(Int.init) : nil
                found.append(sent.readString(length: longer ?? Int(length)) ?? "?")
            }
            return found
        }
    }

    private static func packet(_ text: String, _ treatment: WaitTreatment, count: Int = 0) -> EncodedPacket {
        var frames = ByteBuffer()
        let text = text + String(repeating: "x", count: max(0, count - text.utf8.count))
        let part = Array(text.utf8).withUnsafeBytes { PacketBuilder.appendFrame($0, to: &frames) }
        return EncodedPacket(frames: frames, firstPart: part, furtherParts: [], treatment: treatment)
    }

    private static func latest(_ text: String, _ identity: UInt64, count: Int = 0) -> EncodedPacket {
        packet(text, WaitTreatment(policy: .latest, identity: identity), count: count)
    }

    private static func onWebSocket(_ harness: SessionHarness) throws -> (Session, WebSocketConnection, Link) {
        let link = Link()
        let webSocket = WebSocketConnection(host: harness, handshakeResponse: ByteBuffer())
        webSocket.open(over: link, for: .newSession)
        let sid = try #require(link.texts().first?.split(separator: "\"").dropFirst(3).first)
        return (try #require(harness.table[ByteString(String(sid))]), webSocket, link)
    }

    private static func dropped(_ harness: SessionHarness) -> [Int] {
        harness.table.counters.packetsDroppedSlow.labelled.map(\.value)
    }

    // MARK: drop-oldest

    @Test func `the oldest packets make room, and the client stays`() {
        let harness = SessionHarness { $0.maxQueuedBytes = 1000 }
        let session = harness.connected()
        for number in 0..<5 { session.enqueue(Self.packet("\(number)", .dropOldest, count: 396)) }
        #expect(session.poll().packets.map(\.first) == ["3", "4"])
        #expect(Self.dropped(harness) == [0, 3, 0] && harness.refusals.isEmpty)
    }

    @Test func `packets of other policies are not dropped, and without droppable ones the client is closed`() {
        let harness = SessionHarness { $0.maxQueuedBytes = 1000 }
        let session = harness.connected()
        session.enqueue(Self.packet("a", .disconnect, count: 396))
        session.enqueue(Self.packet("b", .dropOldest, count: 396))
        session.enqueue(Self.packet("c", .disconnect, count: 396))
        #expect(!session.isClosed, "b makes room for any packet")
        session.enqueue(Self.packet("d", .dropOldest, count: 396))
        #expect(session.isClosed && harness.refusals == [.queueFull])
        #expect(Self.dropped(harness) == [3, 1, 0])
    }

    @Test func `by default two of the largest messages wait for a poll under every policy`() {
        for treatment in [WaitTreatment.disconnect, .dropOldest, WaitTreatment(policy: .latest, identity: 0)] {
            let harness = SessionHarness { $0.maxMessageBytes = 1000 }
            let session = harness.connected()
            for number in 0..<2 {
                let identity = treatment.isLatest ? UInt64(number) : 0
                session.enqueue(
                    Self.packet("\(number)", WaitTreatment(policy: treatment.policy, identity: identity), count: 6000))
            }
            #expect(session.poll().packets.map(\.first) == ["0", "1"], "\(treatment.policy)")
        }
    }

    // MARK: latest

    @Test func `between two polls a newer packet takes the place of the older one`() {
        let harness = SessionHarness()
        let session = harness.connected()
        for (text, identity) in [("a1", 1), ("b1", 2), ("a2", 1), ("a3", 1)] as [(String, UInt64)] {
            session.enqueue(Self.latest(text, identity))
            harness.flush()
        }
        #expect(session.poll().packets == ["a3", "b1"])
        #expect(Self.dropped(harness) == [0, 0, 2])
    }

    @Test func `a waiting poll gets every packet of one turn`() {
        let harness = SessionHarness { $0.maxQueuedBytes = 20 }
        let session = harness.connected()
        let poll = session.poll()
        for number in 0..<10 { session.enqueue(Self.latest("a\(number)", 1)) }
        harness.flush()
        #expect(poll.packets == (0..<10).map { "a\($0)" } && Self.dropped(harness) == [0, 0, 0])
    }

    @Test func `a websocket that keeps up gets every packet under every policy, however many come in one turn`() throws
    {
        for policy in SlowClientPolicy.allCases {
            let harness = SessionHarness { $0.maxQueuedBytes = 1000 }
            let (session, webSocket, link) = try Self.onWebSocket(harness)
            for number in 0..<100 {
                session.enqueue(Self.packet("\(number)", WaitTreatment(policy: policy, identity: 1), count: 100))
            }
            harness.flush()
            #expect(link.texts().count == 100 && Self.dropped(harness) == [0, 0, 0], "\(policy)")
            webSocket.disconnected()
        }
    }

    @Test func `of packets that had to wait for a websocket only the latest leaves, in the place of the first`() throws
    {
        let harness = SessionHarness()
        let (session, webSocket, link) = try Self.onWebSocket(harness)
        link.isWritable = false
        link.unsentBytes = 1
        for number in 0..<10 {
            session.enqueue(Self.latest("a\(number)", 1))
            session.enqueue(Self.packet("k\(number)", .disconnect))
            harness.flush()
        }
        link.isWritable = true
        link.unsentBytes = 0
        webSocket.canSendAgain()
        #expect(link.texts() == ["a9"] + (0..<10).map { "k\($0)" })
        #expect(Self.dropped(harness) == [0, 0, 9])
        for number in 0..<3 { session.enqueue(Self.latest("b\(number)", 1)) }
        harness.flush()
        #expect(link.texts() == ["b0", "b1", "b2"], "it keeps up again")
    }

    @Test func `the latest packets of many keys are bounded by the limit of the queue`() {
        let harness = SessionHarness { $0.maxQueuedBytes = 1000 }
        let session = harness.connected()
        for identity in 1...2 { session.enqueue(Self.latest("a", UInt64(identity), count: 396)) }
        for _ in 0..<10 { session.enqueue(Self.latest("b", 1, count: 396)) }
        #expect(!session.isClosed)
        session.enqueue(Self.latest("c", 2, count: 900))
        #expect(session.isClosed, "it is longer than the one it replaces")
    }

    // MARK: The stall timeout

    @Test func `a client that takes nothing keeps the newest 1 MiB of packets that may be dropped, and stays`() {
        let harness = SessionHarness()
        let session = harness.connected()
        let start = EngineIOSession.Instant.now
        for number in 0..<30 { session.enqueue(Self.packet("\(number)-", .dropOldest, count: 100_000)) }
        session.timerFired(at: start)
        session.timerFired(at: start + .seconds(9))
        #expect(session.queue.packetCount == 30)
        session.timerFired(at: start + .seconds(11))
        #expect(session.queue.packetCount == 10)
        session.enqueue(Self.packet("30-", .dropOldest, count: 100_000))
        session.timerFired(at: start + .seconds(12))
        #expect(session.queue.packetCount == 10 && Self.dropped(harness) == [0, 21, 0])
        #expect(session.poll().packets.first?.hasPrefix("21-") == true && !session.isClosed)
    }

    @Test func `packets of the policy latest don't stall a client, those of disconnect beside them do`() {
        let harness = SessionHarness()
        let session = harness.connected()
        let start = EngineIOSession.Instant.now
        for identity in 0..<30 { session.enqueue(Self.latest("\(identity)-", UInt64(identity), count: 100_000)) }
        session.timerFired(at: start)
        session.timerFired(at: start + .seconds(20))
        #expect(!session.isClosed && session.queue.packetCount == 30)
        for _ in 0..<11 { session.enqueue(Self.packet("k", .disconnect, count: 100_000)) }
        session.timerFired(at: start + .seconds(21))
        #expect(session.isClosed && harness.refusals == [.stalled])
    }

    // MARK: The reason

    @Test func `the next poll of a client closed as too slow has the reason, and a waiting one too`() {
        let harness = SessionHarness { $0.maxQueuedBytes = 10 }
        let session = harness.connected()
        for _ in 0..<2 { session.enqueue(Self.packet("a", .disconnect, count: 10)) }
        let response = session.poll().value
        #expect(response?.status == .badRequest)
        let text = response.map { String(buffer: $0.body) }
        #expect(text == #""slow client: more waited than --max-queue allows""#)
        #expect(harness.table.refusal(of: session.sid) == .slowClient(.queueFull))
        #expect(harness.table.refusal(of: "x") == .invalidSession("x"))
    }

    @Test func `so many reasons are remembered, not more`() {
        let harness = SessionHarness()
        let sessions = (0...BridgeLimits.rememberedSlowClients).map { _ in harness.table.open(.polling) }
        for session in sessions { session.close(.slowClient(.stalled)) }
        #expect(harness.table.refusal(of: sessions[0].sid) == .invalidSession(sessions[0].sid))
        #expect(sessions.dropFirst().allSatisfy { harness.table.refusal(of: $0.sid) == .slowClient(.stalled) })
    }
}
