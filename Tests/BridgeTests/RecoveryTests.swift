import Bytes
import NIOCore
import PubSubMessages
import SocketIOProtocol
import Testing

@testable import Bridge

/// Recovery over one and several event loops, with pages that poll.
@Suite struct RecoveryTests {
    /// A page that remembers its pid and the last offset, as the stock client does.
    private final class Page {
        let bridge: ChannelHarness
        private(set) var session: Session
        private var loop: Int
        let prefix: String
        private(set) var sid = ""
        private(set) var pid: String?
        var offset: String?
        private(set) var isRecovered = false
        private var numbers: [Int] = []
        private(set) var others: [String] = []

        init(_ bridge: ChannelHarness, loop: Int = 0, in rooms: String..., namespace: String = "/") {
            self.bridge = bridge
            self.loop = loop
            prefix = namespace == "/" ? "" : namespace + ","
            session = bridge.shards[loop].sessions.open(.polling)
            connect()
            for room in rooms { send(#"42\#(prefix)["join",{"room":"\#(room)"}]"#) }
        }

        func send(_ packet: String) {
            _ = session.received(body: Array(packet.utf8)[...])
            bridge.shards[loop].flush()
            bridge.run()
        }

        func connect() {
            let authentication = pid.map { pid in
                #"{"pid":"\#(pid)"\#(offset.map { #","offset":"\#($0)""# } ?? "")}"#
            }
            send("40\(prefix)\(authentication ?? "")")
            read()
        }

        /// Reads what is queued. A page that loses packets doesn't get them.
        func read() {
            while !session.queue.isEmpty, session.hasSendablePackets {
                for packet in session.poll().packets { received(packet) }
                bridge.run()
            }
        }

        private func received(_ packet: String) {
            if packet.hasPrefix("40\(prefix){") {
                let fields = packet.split(separator: "\"").map(String.init)
                sid = fields[3]
                isRecovered = fields.count > 7 && fields[7] == pid
                pid = fields.count > 7 ? fields[7] : nil
            } else if packet.hasPrefix("42\(prefix)[\"x\","),
                let number = Int(packet.split(separator: ",")[prefix.isEmpty ? 1 : 2])
            {
                numbers.append(number)
                offset = String(packet.dropLast(2).suffix(10))
            } else {
                others.append(packet)
            }
        }

        /// The numbers of the events since the last call.
        func take() -> [Int] {
            read()
            defer { numbers = [] }
            return numbers
        }

        func lose(_ reason: EngineIOSession.CloseReason = .transportClosed) {
            session.close(reason)
            bridge.run()
        }

        /// Opens another session and asks for the connection.
        func comeBack(loop: Int? = nil) {
            self.loop = loop ?? self.loop
            session = bridge.shards[self.loop].sessions.open(.polling)
            connect()
        }
    }

    private static func bridge(
        loops: Int = 1, _ change: (inout BridgeConfiguration) -> Void = { _ in }
    ) -> ChannelHarness {
        ChannelHarness(loopCount: loops) {
            $0.recovery = .seconds(60)
            change(&$0)
        }
    }

    private static func emit(_ number: Int, _ more: [String: String?] = ["room": #""r""#]) -> String {
        ChannelHarness.message(["data": "[\(number)]"].merging(more) { $1 })
    }

    private static func command(_ method: String, _ sid: String, room: String? = nil) -> String {
        ChannelHarness.message([
            "method": "\"\(method)\"", "sid": "\"\(sid)\"", "room": room.map { "\"\($0)\"" }, "event": nil,
        ])
    }

    @Test func `without recovery nothing is appended to CONNECT and events`() {
        let bridge = ChannelHarness()
        let session = bridge.shards[0].sessions.open(.polling)
        _ = session.post([#"40{"pid":"AAAAAAAAAAAAAAAAAAAA","offset":"AAAAAAAAAA"}"#])
        bridge.run()
        let connect = session.poll().text ?? ""
        #expect(connect == #"40{"sid":"\#(session.sockets[0].sid)"}"#)
        bridge.publish(Self.emit(1, [:]))
        #expect(session.poll().text == #"42["x",1]"#)
        session.close(.transportClosed)
        #expect(bridge.shards[0].registry.namespaces.isEmpty)
    }

    @Test(arguments: [(1, 0, 0), (3, 0, 0), (3, 0, 2), (3, 1, 0), (3, 2, 1), (3, 1, 1)])
    func `a page that comes back gets what it missed, in order, once, and what follows`(
        loops: Int, first: Int, second: Int
    ) {
        let bridge = Self.bridge(loops: loops)
        let page = Page(bridge, loop: first, in: "r", "s")
        bridge.publish(Self.emit(1))
        #expect(page.take() == [1])
        let sid = page.sid
        // Lost on the way.
        bridge.publish(Self.emit(2), Self.emit(3, ["room": #""s""#]))
        page.lose()
        bridge.publish(
            Self.emit(4), Self.emit(5), Self.emit(6, ["room": #"["r","s"]"#]), Self.emit(7, ["room": "\"\(sid)\""]),
            Self.emit(8, ["room": #""other""#]), Self.emit(9, ["room": #""r""#, "skip_sid": "\"\(sid)\""]),
            Self.emit(10, [:]))
        page.comeBack(loop: second)
        #expect(page.isRecovered && page.sid == sid)
        #expect(page.take() == [2, 3, 4, 5, 6, 7, 10])
        bridge.publish(Self.emit(11), Self.emit(12, ["room": "\"\(sid)\""]), Self.emit(13, ["room": #""s""#]))
        #expect(page.take() == [11, 12, 13])
        #expect(bridge.counters.recoveries[.recovered] == 1)
        // And again, from another event loop.
        page.lose(.pingTimeout)
        bridge.publish(Self.emit(14), Self.emit(15, ["room": "\"\(sid)\""]))
        page.comeBack(loop: first)
        #expect(page.isRecovered && page.take() == [14, 15])
        page.send("41")
        bridge.run()
        #expect(bridge.router.rooms.moved.isEmpty)
        #expect(bridge.shards.allSatisfy { $0.registry.namespaces.isEmpty })
        #expect(!bridge.router.rooms.isKnown("/"))
    }

    @Test func `a page that has got no event yet gets all since it connected`() {
        let bridge = Self.bridge()
        let other = Page(bridge, in: "r")
        bridge.publish(Self.emit(1, [:]))
        #expect(other.take() == [1])
        let page = Page(bridge, in: "r")
        bridge.publish(Self.emit(2))
        page.lose()
        bridge.publish(Self.emit(3))
        page.comeBack()
        #expect(page.isRecovered && page.take() == [2, 3])
    }

    @Test func `an offset of another process is that of a page that has got no event here`() {
        let bridge = Self.bridge()
        let page = Page(bridge, in: "r")
        bridge.publish(Self.emit(1))
        page.lose()
        page.offset = (page.sid.dropFirst(2).first == "A" ? "B" : "A") + "_AAAAAAAA"
        page.comeBack()
        #expect(page.isRecovered && page.take() == [1])
    }

    @Test func `the old connection ends if it still looked alive`() {
        let bridge = Self.bridge(loops: 2)
        let page = Page(bridge, loop: 0, in: "r")
        let old = page.session
        bridge.publish(Self.emit(1))
        page.comeBack(loop: 1)
        #expect(old.isClosed && page.isRecovered && page.take() == [1])
        bridge.publish(Self.emit(2))
        #expect(page.take() == [2])
    }

    @Test func `a poll that the browser repeats has lost its response, and the page comes back for it`() {
        let bridge = Self.bridge()
        let page = Page(bridge, in: "r")
        func poll(_ timestamp: ByteString) -> HTTPResponse? {
            var response: HTTPResponse?
            let promise = bridge.eventLoops[0].makePromise(of: HTTPResponse.self)
            promise.futureResult.assumeIsolated().whenSuccess { response = $0 }
            page.session.received(PendingPoll(jsonpIndex: nil, timestamp: timestamp, promise: promise))
            bridge.run()
            return response
        }
        bridge.publish(Self.emit(1))
        #expect(poll("a")?.status == .ok)
        bridge.publish(Self.emit(2))
        #expect(poll("b")?.status == .ok)
        #expect(poll("b")?.status == .badRequest && page.session.isClosed)
        page.comeBack()
        #expect(page.isRecovered && page.take() == [1, 2])
    }

    @Test func `two pages can't have the same connection`() {
        let bridge = Self.bridge()
        let page = Page(bridge, in: "r")
        let thief = Page(bridge)
        let pid = page.pid ?? ""
        page.lose()
        let session = bridge.shards[0].sessions.open(.polling)
        _ = session.received(body: Array(#"40{"pid":"\#(pid)"}"#.utf8)[...])
        let second = bridge.shards[0].sessions.open(.polling)
        _ = second.received(body: Array(#"40{"pid":"\#(pid)"}"#.utf8)[...])
        bridge.run()
        #expect([session, second].count { $0.sockets.first.map { "\($0.sid)" } == page.sid } == 1)
        #expect(thief.sid != page.sid)
    }

    @Test(arguments: [
        (EngineIOSession.CloseReason.invalidPacket, false), (.serverShutdown, false), (.clientClosed, true),
        (.transportClosed, true), (.pingTimeout, true), (.overlappingPolls, true), (.pollAborted, true),
        (.slowClient(.queueFull), true),
    ])
    func `it depends on the reason whether a connection can be recovered`(
        reason: EngineIOSession.CloseReason, expected: Bool
    ) {
        let bridge = Self.bridge()
        let page = Page(bridge, in: "r")
        page.lose(reason)
        page.comeBack()
        #expect(page.isRecovered == expected)
    }

    @Test func `a page that disconnects, or is disconnected by a backend, isn't recovered`() {
        let bridge = Self.bridge(loops: 2)
        let (left, putOut, putOutLater) = (Page(bridge, in: "r"), Page(bridge, in: "r"), Page(bridge, loop: 1, in: "r"))
        left.send("41")
        bridge.publish(Self.command("disconnect", putOut.sid))
        putOutLater.lose()
        bridge.publish(Self.command("disconnect", putOutLater.sid))
        for page in [left, putOut, putOutLater] {
            let sid = page.sid
            page.lose()
            page.comeBack()
            #expect(!page.isRecovered && page.sid != sid)
        }
        #expect(bridge.counters.recoveries[.unknownPid] == 3)
    }

    @Test(arguments: [0, 1]) func `backends take a page that is away out of rooms and into others`(loop: Int) {
        let bridge = Self.bridge(loops: 2)
        let page = Page(bridge, loop: loop, in: "a", "b", "c")
        page.lose()
        bridge.publish(
            Self.emit(1, ["room": #""a""#]), Self.command("leave_room", page.sid, room: "a"),
            Self.emit(2, ["room": #""a""#]),
            Self.emit(3, ["room": #""b""#]), Self.command("close_room", page.sid, room: "b"),
            Self.emit(4, ["room": #""b""#]),
            Self.emit(5, ["room": #""d""#]), Self.command("enter_room", page.sid, room: "d"),
            Self.emit(6, ["room": #""d""#]))
        page.comeBack(loop: 1 - loop)
        #expect(page.isRecovered && page.take() == [1, 3, 6])
        bridge.publish(["a", "b", "c", "d"].enumerated().map { Array(Self.emit($0, ["room": "\"\($1)\""]).utf8) })
        #expect(page.take() == [2, 3])
    }

    @Test func `what backends do while the state is on its way counts`() {
        let bridge = Self.bridge(loops: 2)
        let page = Page(bridge, loop: 1, in: "a", "b")
        page.lose()
        let session = bridge.shards[0].sessions.open(.polling)
        _ = session.received(body: Array(#"40{"pid":"\#(page.pid ?? "")"}"#.utf8)[...])
        // The request reaches the router, and then the state leaves event loop 1.
        bridge.eventLoops[0].run()
        bridge.eventLoops[1].run()
        for message in [
            Self.command("leave_room", page.sid, room: "a"), Self.command("enter_room", page.sid, room: "d"),
            Self.emit(1, ["room": #""a""#]), Self.emit(2, ["room": #""b""#]), Self.emit(3, ["room": #""d""#]),
        ] {
            bridge.router.received(Array(message.utf8).span, on: Span())
        }
        bridge.router.receivedBatch()
        bridge.run()
        let packets = session.poll().packets
        #expect(packets.count == 3 && packets[1].hasPrefix(#"42["x",2,"#) && packets[2].hasPrefix(#"42["x",3,"#))
        #expect(session.sockets.first?.memberships.map(\.room.name).sorted { $0.text < $1.text } == ["", "b", "d"])
    }

    @Test func `an offset that was never sent, or another namespace, gets a new connection`() {
        let bridge = Self.bridge()
        let (future, text, other) = (Page(bridge), Page(bridge), Page(bridge, namespace: "/a"))
        bridge.publish(Self.emit(1, [:]))
        for page in [future, text] {
            #expect(page.take() == [1])
            page.lose()
        }
        future.offset = future.offset.map { $0.prefix(2) + "_" + $0.dropFirst(3) }
        text.offset = "no offset"
        for page in [future, text] {
            page.comeBack()
            #expect(!page.isRecovered)
        }
        other.lose()
        let session = bridge.shards[0].sessions.open(.polling)
        _ = session.post([#"40{"pid":"\#(other.pid ?? "")"}"#])
        bridge.run()
        #expect(session.sockets.first.map { "\($0.sid)" } != other.sid)
        let counts = bridge.counters.recoveries
        #expect(counts[.unknownOffset] == 2 && counts[.otherNamespace] == 1)
    }

    @Test func `a page whose messages are no longer all there gets a new connection`() {
        let bridge = Self.bridge { $0.recoveryRoomBytes = 2000 }
        let page = Page(bridge, in: "r")
        page.lose()
        for number in 0..<100 { bridge.publish(Self.emit(number)) }
        page.comeBack()
        #expect(!page.isRecovered && bridge.counters.recoveries[.logTooShort] == 1)
        #expect(bridge.shards[0].sessions.recoverable?.parkedCount == 0)
    }

    @Test func `a connection isn't recovered across a gap of the subscription, and is after it`() {
        let bridge = Self.bridge()
        let page = Page(bridge, in: "r")
        bridge.publish(Self.emit(1))
        #expect(page.take() == [1])
        page.lose()
        bridge.router.subscriptionChanged(.lost(cause: .closedByServer, since: .now()))
        bridge.router.subscriptionChanged(.subscribed)
        page.comeBack()
        #expect(!page.isRecovered && bridge.counters.recoveries[.subscriptionGap] == 1)
        page.send(#"42["join",{"room":"r"}]"#)
        bridge.publish(Self.emit(2))
        #expect(page.take() == [2])
        page.lose()
        bridge.publish(Self.emit(3))
        page.comeBack()
        #expect(page.isRecovered && page.take() == [3])
    }

    @Test func `the wish to be told of gaps and owed acks survive`() {
        let bridge = Self.bridge(loops: 2)
        let page = Page(bridge, in: "r")
        page.send(#"42["join",{"room":"r","gap":true}]"#)
        bridge.publish(Self.emit(1, ["room": #""r""#, "callback": #"["room","/",7]"#]))
        page.lose()
        page.comeBack(loop: 1)
        #expect(page.isRecovered)
        page.send("431[]")
        #expect(bridge.broker.published.contains("callback"))
        bridge.router.subscriptionChanged(.lost(cause: .closedByServer, since: .now()))
        bridge.router.subscriptionChanged(.subscribed)
        bridge.publish(Self.emit(2))
        page.read()
        #expect(page.others.contains { $0.contains("ws-emit:gap") })
    }

    @Test func `a page that is away isn't counted and keeps the rooms' messages`() {
        let bridge = Self.bridge()
        let page = Page(bridge, in: "r")
        page.lose()
        let numbers = bridge.shards[0].numbers
        #expect(numbers.sockets == 0 && numbers.rooms == 0 && numbers.parked == 1)
        let lookup = bridge.shards[0].lookUp(["r", ByteString(page.sid)], in: "/")
        #expect(lookup.sockets == 0 && lookup.namespaces == [] && lookup.members == ["r": 0, ByteString(page.sid): 0])
        let queued = bridge.shards[0].counters.packetsQueued
        bridge.publish(Self.emit(1))
        #expect(bridge.shards[0].counters.packetsQueued == queued)
        page.comeBack()
        #expect(page.take() == [1] && bridge.shards[0].numbers.sockets == 1 && bridge.shards[0].numbers.parked == 0)
    }

    @Test func `a page that stays away too long is forgotten, with its rooms`() {
        let bridge = Self.bridge(loops: 2)
        let page = Page(bridge, loop: 1, in: "r")
        page.lose()
        let shard = bridge.shards[1]
        shard.sessions.dropExpiredSockets(at: .now + .seconds(59))
        #expect(shard.numbers.parked == 1)
        shard.sessions.dropExpiredSockets(at: .now + .seconds(61))
        bridge.run()
        #expect(shard.numbers.parked == 0 && shard.registry.namespaces.isEmpty && !bridge.router.rooms.isKnown("/"))
        page.comeBack()
        #expect(!page.isRecovered)
    }

    @Test func `the memory of pages that are away is bounded, and the first to leave are forgotten`() {
        let bridge = Self.bridge()
        let recoverable = RecoverableSockets(duration: .seconds(60), limitBytes: 4 * BridgeLimits.parkedSocketBytes)
        let sockets = (0..<5).map { index in
            let session = bridge.shards[0].sessions.open(.polling)
            let socket = bridge.shards[0].registry.connect(session, to: "/", sid: ByteString("sid\(index)"))
            socket.recovery = RecoveryState(pid: ByteString("pid\(index)"), start: .none)
            recoverable.add(socket)
            return socket
        }
        var forgotten: [ByteString] = []
        for socket in sockets {
            recoverable.park(socket, at: .now)
            while let excess = recoverable.excess {
                forgotten.append(excess.sid)
                recoverable.remove(excess)
            }
        }
        #expect(forgotten == ["sid0", "sid1"] && recoverable.parkedCount == 3)
    }

    @Test func `a page that leaves its namespace while it is being recovered is gone`() {
        let bridge = Self.bridge(loops: 2)
        let page = Page(bridge, loop: 1, in: "r")
        page.lose()
        let session = bridge.shards[0].sessions.open(.polling)
        _ = session.received(body: Array("40{\"pid\":\"\(page.pid ?? "")\"}\u{1E}41".utf8)[...])
        bridge.run()
        #expect(session.sockets.isEmpty && bridge.shards.allSatisfy { $0.registry.namespaces.isEmpty })
        #expect(bridge.router.rooms.moved.isEmpty && !bridge.router.rooms.isKnown("/"))
    }

    @Test func `a page that is lost again while it is being recovered can still come back`() {
        let bridge = Self.bridge(loops: 2)
        let page = Page(bridge, loop: 1, in: "r")
        page.lose()
        bridge.publish(Self.emit(1))
        let session = bridge.shards[0].sessions.open(.polling)
        _ = session.received(body: Array(#"40{"pid":"\#(page.pid ?? "")"}"#.utf8)[...])
        session.close(.transportClosed)
        bridge.run()
        page.comeBack(loop: 1)
        #expect(page.isRecovered && page.take() == [1])
    }

    @Test func `kept messages get offsets, and a client that lost some of them isn't recovered`() {
        let bridge = Self.bridge(loops: 2)
        let kept: [String: String?] = ["room": #""r""#, "keep": "true"]
        for number in 1...3 { bridge.publish(Self.emit(number, kept.merging(["key": "\"\(number)\""]) { $1 })) }
        let pages = (0..<3).map { Page(bridge, loop: $0 % 2) }
        bridge.publish(Self.emit(4, [:]))
        for page in pages {
            #expect(page.take() == [4])
            page.send(#"42["join",{"room":"r"}]"#)
        }
        // The first has got all of them, the others none.
        #expect(pages[0].take() == [1, 2, 3])
        bridge.publish(Self.emit(5))
        for page in pages { page.lose() }
        bridge.publish(Self.emit(6))
        for page in pages { page.comeBack() }
        #expect(pages.map(\.isRecovered) == [true, false, false])
        #expect(pages[0].take() == [5, 6])
        #expect(bridge.counters.recoveries[.logTooShort] == 2)
        // A join again brings the newest ones.
        pages[1].send(#"42["join",{"room":"r"}]"#)
        #expect(pages[1].take() == [1, 2, 3])
    }

    @Test func `random cuts, rooms and emits lose and repeat nothing`() {
        var random = SystemRandomNumberGenerator()
        let bridge = Self.bridge(loops: 3)
        let rooms = ["a", "b", "c", "d"]
        let pages = (0..<6).map { Page(bridge, loop: $0 % 3) }
        var members = pages.map { _ in Set<String>() }
        var expected = pages.map { _ in [Int]() }
        var got = pages.map { _ in [Int]() }
        var isAway = pages.map { _ in false }
        var number = 0
        for _ in 0..<1000 {
            let index = Int.random(in: pages.indices, using: &random)
            let (page, room) = (pages[index], rooms.randomElement(using: &random) ?? "a")
            switch Int.random(in: 0..<12, using: &random) {
            case 0 where !isAway[index]:
                page.send(#"42["join",{"room":"\#(room)"}]"#)
                got[index] += page.take()
                members[index].insert(room)
            case 1 where !isAway[index]:
                got[index] += page.take()
                page.send(#"42["leave",{"room":"\#(room)"}]"#)
                members[index].remove(room)
            case 2:
                bridge.publish(Self.command("leave_room", page.sid, room: room))
                members[index].remove(room)
            case 3:
                bridge.publish(Self.command("enter_room", page.sid, room: room))
                members[index].insert(room)
            case 4 where !isAway[index]:
                page.lose()
                isAway[index] = true
            case 5, 6:
                page.comeBack(loop: Int.random(in: 0..<3, using: &random))
                let results = bridge.counters.recoveries.labelled.filter { $0.value > 0 }
                #expect(page.isRecovered, "\(results)")
                got[index] += page.take()
                isAway[index] = false
            case 7 where !isAway[index]: got[index] += page.take()
            case 8:
                bridge.publish(Self.command("close_room", page.sid, room: room))
                for index in members.indices { members[index].remove(room) }
            default:
                var messages: [[UInt8]] = []
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    number += 1
                    let (list, skipped) = (
                        rooms.filter { _ in Bool.random(using: &random) }, pages.randomElement() ?? page
                    )
                    let target = Int.random(in: 0..<10, using: &random)
                    switch target {
                    case 0:
                        messages.append(Array(Self.emit(number, [:]).utf8))
                        for index in pages.indices { expected[index].append(number) }
                    case 1:
                        messages.append(Array(Self.emit(number, ["room": "\"\(page.sid)\""]).utf8))
                        expected[index].append(number)
                    case 2 where !list.isEmpty:
                        let names = list.map { "\"\($0)\"" }.joined(separator: ",")
                        messages.append(
                            Array(Self.emit(number, ["room": "[\(names)]", "skip_sid": "\"\(skipped.sid)\""]).utf8))
                        for index in pages.indices
                        where pages[index] !== skipped && !members[index].isDisjoint(with: list) {
                            expected[index].append(number)
                        }
                    default:
                        messages.append(Array(Self.emit(number, ["room": "\"\(room)\""]).utf8))
                        for index in pages.indices where members[index].contains(room) {
                            expected[index].append(number)
                        }
                    }
                }
                bridge.publish(messages)
            }
        }
        for index in pages.indices {
            pages[index].comeBack()
            got[index] += pages[index].take()
            let isEqual = got[index] == expected[index]
            #expect(
                isEqual,
                "extra: \(Set(got[index]).subtracting(expected[index])), missing: \(Set(expected[index]).subtracting(got[index]))"
            )
        }
    }
}
