import Bytes
import NIOCore
import PubSubMessages
import RedisPubSub
import Testing

@testable import Bridge

/// `join` and `leave` while the answers of Redis are late, come in any order, or not at all.
@Suite struct ClientEventsTests {
    /// A client in a bridge whose secrets come when the test says.
    private final class Client {
        let broker: LateBroker
        let harness: BridgeHarness
        let session: Session
        /// The calls of each join that waits for its secret, by the join's ack id.
        private(set) var waiting: [(id: Int, calls: Range<Int>)] = []

        init(_ change: (inout BridgeConfiguration) -> Void = { _ in }) {
            var configuration = BridgeConfiguration()
            configuration.canaryInterval = nil
            change(&configuration)
            var broker: LateBroker?
            harness = BridgeHarness(configuration) { eventLoop in
                let made = LateBroker(eventLoop: eventLoop)
                broker = made
                return made
            }
            self.broker = broker ?? LateBroker(eventLoop: harness.eventLoop)
            session = harness.makeSession()
            _ = harness.post("40", to: session)
            _ = harness.poll(session)
        }

        func send(_ event: String, _ id: Int, room: String = "s::r", secret: String = "right") {
            let before = broker.calls.count
            _ = harness.post("42\(id)[\"\(event)\",{\"room\":\"\(room)\",\"secret\":\"\(secret)\"}]", to: session)
            if broker.calls.count > before { waiting.append((id, before..<broker.calls.count)) }
        }

        /// Lets Redis answer one join's question.
        func answer(at place: Int, failing: Bool = false) {
            let calls = waiting.remove(at: place).calls
            broker.answer(calls, failing: failing)
            harness.eventLoop.run()
        }

        func answerAll() { while !waiting.isEmpty { answer(at: 0) } }

        private var held: Session.PollResult?

        /// What the client has been sent since the last call.
        func packets() -> [String] {
            var packets: [String] = []
            while !session.isClosed {
                let poll = held ?? harness.poll(session)
                held = poll.value == nil ? poll : nil
                if poll.value == nil { break }
                packets += poll.packets
            }
            return packets
        }

        /// Acks among them, as `id[…]`.
        func acks() -> [String] { packets().filter { $0.hasPrefix("43") }.map { String($0.dropFirst(2)) } }

        func isIn(_ room: ByteString) -> Bool {
            harness.shard.registry.namespaces["/"]?.rooms[room] != nil
        }

        func perform(_ command: ShardCommand) { harness.shard.perform([command]) }

        var sid: ByteString { session.sockets.first?.sid ?? "" }
    }

    private static func ack(_ id: Int, _ refusal: JoinRequest.Refusal?) -> String {
        refusal.map { "\(id)[{\"ok\":false,\"error\":\"\($0.rawValue)\"}]" } ?? "\(id)[{\"ok\":true}]"
    }

    @Test func `a leave refuses the join that it overtakes, and a join after it is carried out`() {
        let client = Client()
        client.send("join", 1, secret: "wrong")
        client.send("leave", 2)
        client.send("join", 3)
        #expect(client.acks() == [Self.ack(1, .leftMeanwhile), Self.ack(2, nil)])
        client.answer(at: 0)
        #expect(!client.isIn("s::r"))
        client.answer(at: 0)
        #expect(client.isIn("s::r"))
    }

    /// What a client and Redis do, one after the other.
    private enum Step: CaseIterable { case join, wrongJoin, leave, oldestAnswer, newestAnswer }

    @Test func `in all orders of joins, leaves and answers each ack comes once and says what is so`() {
        let client = Client()
        let (steps, length) = (Step.allCases, 5)
        var lastID = 0
        for number in 0..<Int(pow(steps.count, length)) {
            var (expected, pending, isIn): ([String], [(id: Int, isRight: Bool)], Bool) = ([], [], false)
            var rest = number
            func answer(at place: Int) {
                guard !client.waiting.isEmpty else { return }
                let place = place == 0 ? 0 : client.waiting.count - 1
                let id = client.waiting[place].id
                client.answer(at: place)
                guard let found = pending.firstIndex(where: { $0.id == id }) else { return }
                let isRight = pending.remove(at: found).isRight
                if isRight { isIn = true }
                expected.append(Self.ack(id, isRight ? nil : .secretWrong))
            }
            for _ in 0..<length {
                let step = steps[rest % steps.count]
                rest /= steps.count
                switch step {
                case .join, .wrongJoin:
                    lastID += 1
                    pending.append((lastID, step == .join))
                    client.send("join", lastID, secret: step == .join ? "right" : "wrong")
                case .leave:
                    lastID += 1
                    expected += pending.map { Self.ack($0.id, .leftMeanwhile) } + [Self.ack(lastID, nil)]
                    pending = []
                    isIn = false
                    client.send("leave", lastID)
                case .oldestAnswer: answer(at: 0)
                case .newestAnswer: answer(at: 1)
                }
            }
            while !client.waiting.isEmpty { answer(at: 0) }
            guard client.acks() == expected, client.isIn("s::r") == isIn else {
                Issue.record("sequence \(number)")
                return
            }
            lastID += 1
            client.send("leave", lastID)
            _ = client.acks()
        }
    }

    private func pow(_ base: Int, _ exponent: Int) -> Int { (0..<exponent).reduce(1) { power, _ in power * base } }

    @Test func `a leave of one room leaves the joins of others alone`() {
        let client = Client()
        client.send("join", 1, room: "s::a")
        client.send("join", 2, room: "s::b")
        client.send("leave", 3, room: "s::b")
        client.answerAll()
        #expect(client.acks() == [Self.ack(2, .leftMeanwhile), Self.ack(3, nil), Self.ack(1, nil)])
        #expect(client.isIn("s::a") && !client.isIn("s::b"))
    }

    @Test func `a backend that takes a client out of a room, or closes the room, refuses the joins under way`() {
        let client = Client()
        client.send("join", 1)
        client.send("join", 2)
        client.perform(.leaveRoom(sid: client.sid, room: "s::r", namespace: "/"))
        #expect(client.acks() == [Self.ack(1, .leftMeanwhile), Self.ack(2, .leftMeanwhile)])
        client.send("join", 3)
        client.send("join", 4, room: "s::other")
        client.perform(.closeRoom(room: "s::r", namespace: "/other"))
        client.perform(.closeRoom(room: "s::r", namespace: "/"))
        #expect(client.acks() == [Self.ack(3, .closedMeanwhile)])
        client.answerAll()
        #expect(client.acks() == [Self.ack(4, nil)])
        #expect(!client.isIn("s::r"))
    }

    @Test func `a backend that enters a client into a room doesn't answer the client's own join`() {
        let client = Client()
        client.send("join", 1, secret: "wrong")
        client.perform(.enterRoom(sid: client.sid, room: "s::r", namespace: "/"))
        client.answerAll()
        #expect(client.acks() == [Self.ack(1, .secretWrong)])
        #expect(client.isIn("s::r"), "the backend's word stands")
    }

    @Test func `a disconnect refuses the joins under way before it is told, also the client's own`() {
        let client = Client()
        client.send("join", 1)
        client.perform(.disconnect(sid: client.sid, namespace: "/"))
        #expect(client.packets() == ["43" + Self.ack(1, .disconnectedMeanwhile), "41"])
        _ = client.harness.post("40", to: client.session)
        client.send("join", 2)
        _ = client.harness.post("41", "40", to: client.session)
        #expect(client.acks() == [Self.ack(2, .disconnectedMeanwhile)])
        client.send("join", 3)
        client.answer(at: 0)
        client.answer(at: 0)
        #expect(!client.isIn("s::r"), "answers to joins before the disconnect")
        client.answer(at: 0)
        #expect(client.isIn("s::r"))
        #expect(client.acks() == [Self.ack(3, nil)])
    }

    @Test func `a join of a room with a sid's name, which waits for the sid's loop, is cancelled in the same way`() {
        let client = Client()
        let room = SessionID.make(loop: 0, instance: .init())
        let (join, leave) = (#"["join",{"room":"\#(room)"}]"#, #"["leave",{"room":"\#(room)"}]"#)
        _ = client.harness.post("421" + join, "422" + leave, "423" + join, to: client.session)
        #expect(client.acks() == [Self.ack(1, .leftMeanwhile), Self.ack(2, nil), Self.ack(3, nil)])
        #expect(client.isIn(room))
    }

    @Test func `a closed session's joins end with it`() {
        let client = Client()
        client.send("join", 1)
        client.session.close(.transportClosed)
        client.answerAll()
        #expect(client.harness.shard.counters.joins == 0 && client.harness.shard.registry.namespaces.isEmpty)
    }

    @Test func `a failing Redis refuses each join that waits`() {
        let client = Client()
        for id in 1...3 { client.send("join", id) }
        while !client.waiting.isEmpty { client.answer(at: 0, failing: true) }
        #expect(client.acks() == (1...3).map { Self.ack($0, .secretUnavailable) })
    }

    @Test func `joins that wait are bounded, and answers make room for others`() {
        let client = Client { $0.maxPendingJoins = 2 }
        for id in 1...3 { client.send("join", id) }
        #expect(client.acks() == [Self.ack(3, .tooManyPendingJoins)])
        client.send("leave", 4)
        client.send("join", 5)
        client.answerAll()
        client.send("join", 6)
        client.answerAll()
        #expect(
            client.acks() == [1, 2].map { Self.ack($0, .leftMeanwhile) }
                + [Self.ack(4, nil), Self.ack(5, .tooManyPendingJoins), Self.ack(6, nil)])
    }

    @Test func `the number of rooms is bounded where a room is entered, however many joins are under way`() {
        let client = Client { $0.maxRoomsPerSocket = 2 }
        for id in 1...4 { client.send("join", id, room: "s::\(id)") }
        client.answerAll()
        #expect(client.acks() == [nil, nil, .tooManyRooms, .tooManyRooms].enumerated().map { Self.ack($0 + 1, $1) })
        client.send("join", 5, room: "s::1")
        client.answerAll()
        #expect(client.acks() == [Self.ack(5, nil)], "in that room already")
        #expect(client.harness.shard.counters.roomLimitReached == 2)
    }

    @Test func `a backend may enter a client into more rooms than it may join, and they count`() {
        let client = Client { $0.maxRoomsPerSocket = 1 }
        for room in ["a", "b"] as [ByteString] {
            client.perform(.enterRoom(sid: client.sid, room: room, namespace: "/"))
        }
        #expect(client.isIn("a") && client.isIn("b"))
        client.send("join", 1, room: "c")
        #expect(client.acks() == [Self.ack(1, .tooManyRooms)])
    }

    // MARK: Sessions with a router

    private static func connected(_ harness: BridgeHarness) -> Session {
        let session = harness.makeSession()
        _ = session.post(["40"])
        _ = session.poll()
        return session
    }

    @Test func `rooms and their names are bounded`() {
        var configuration = BridgeConfiguration()
        configuration.maxRoomsPerSocket = 2
        configuration.maxNameBytes = 8
        let harness = BridgeHarness(configuration)
        let session = Self.connected(harness)
        let joins = (0..<3).map { "42\($0)[\"join\",{\"room\":\"r\($0)\"}]" }
        for join in joins { _ = session.post([join]) }
        #expect(session.poll().packets.map { $0.contains(#""ok":true"#) } == [true, true, false])
        _ = session.post([#"427["join",{"room":"012345678"}]"#])
        #expect(session.poll().text?.contains("too long") == true)
    }

    @Test func `a room-space opens with its secret and with no other`() {
        let harness = BridgeHarness(secrets: [Array("ws-emit::secret::dir".utf8): Array("S3cret".utf8)])
        let session = Self.connected(harness)
        let tries = [#""S3cret""#, #""S3cret ""#, #""s3cret""#, #""""#, "null", "123"]
        for (number, secret) in tries.enumerated() {
            _ = session.post(["42\(number)[\"join\",{\"room\":\"dir::x\",\"secret\":\(secret)}]"])
            #expect(session.poll().text?.contains(#""ok":true"#) == (number == 0), "\(secret)")
        }
    }

    @Test func `the room of another client's sid stays that client's`() throws {
        let harness = BridgeHarness()
        let (owner, other) = (Self.connected(harness), Self.connected(harness))
        let sid = try #require(owner.sockets.first?.sid)
        _ = other.post(["420[\"join\",{\"room\":\"\(sid)\"}]"])
        #expect(other.poll().text?.contains(#""ok":false"#) == true)
        _ = owner.post(["420[\"leave\",{\"room\":\"\(sid)\"}]"])
        #expect(owner.poll().text?.contains(#""ok":false"#) == true)
    }
}

/// A broker whose `get` is answered when the test says: `right` is the secret of every room-space.
private final class LateBroker: PubSubBroker {
    let eventLoop: any EventLoop
    var counters: RedisCounters { RedisCounters() }
    private(set) var calls: [EventLoopPromise<ByteBuffer?>] = []

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    func answer(_ calls: Range<Int>, failing: Bool) {
        for call in self.calls[calls] {
            if failing { call.fail(RedisError.notConnected) } else { call.succeed(ByteBuffer(string: "right")) }
        }
    }

    func start(delegate: any PubSubDelegate) {}
    func publish(_ payload: ByteBuffer, to redisChannel: String) -> EventLoopFuture<Int> {
        eventLoop.makeSucceededFuture(0)
    }
    func publish(_ batch: RedisPublishBatch) -> EventLoopFuture<Void> { eventLoop.makeSucceededVoidFuture() }
    func get(_ key: [UInt8], upTo limit: Int) -> EventLoopFuture<ByteBuffer?> {
        calls.append(eventLoop.makePromise())
        return calls[calls.count - 1].futureResult
    }
    func shutdown() -> EventLoopFuture<Void> { eventLoop.makeSucceededVoidFuture() }
}
