import Bytes
import NIOCore
import PubSubMessages
import Testing

@testable import Bridge

@Suite struct RecoveryLogTests {
    /// A log to which each event is written at its own position: 1, 2, 3 …
    private struct Log {
        var log: RecoveryLog

        init(age: Int64 = 1000, bytes: Int = 1 << 20, roomBytes: Int = 1 << 20) {
            log = RecoveryLog(limits: .init(age: age, bytes: bytes, roomBytes: roomBytes))
        }

        /// Writes one packet; its events are numbered as their positions.
        @discardableResult
        mutating func write(
            _ rooms: ByteString?..., events: Int = 1, skip: [ByteString] = [], at now: Int64 = 0, padding: Int = 0,
            attachments: [[UInt8]] = []
        ) -> RecoveryOffset {
            var scratch = JSONWriter(capacity: 64)
            let first = log.next(at: now)
            func body(_ offset: RecoveryOffset) -> EventBody {
                let text = String(repeating: "x", count: padding)
                return EventBody(json: Array("[\"\(offset.value)\(text)\"]".utf8), attachments: attachments)
            }
            var builder = body(first).withEncodedEvent {
                PacketBuilder($0, namespace: "/", offset: first, scratch: &scratch)
            }
            for _ in 1..<events {
                let next = log.nextInPacket()
                body(next).withEncodedEvent { builder.append($0, namespace: "/", offset: next, scratch: &scratch) }
            }
            let packet = builder.build()
            for room in rooms {
                log.append(packet, from: first, to: log.last, namespace: "/", room: room, skip: skip)
            }
            return log.last
        }

        /// The numbers of the events that a socket gets.
        func missed(
            rooms: [(ByteString, Int64)] = [("r", 0)], former: [RecoverableSocket.FormerRoom] = [], after offset: Int64,
            start: Int64 = 0, confirmed: Int64 = 0, sid: ByteString = "sid"
        ) -> [Int]? {
            let socket = RecoverableSocket(
                sid: sid, pid: "pid", namespace: "/", start: .init(value: start), confirmed: .init(value: confirmed),
                completeSince: .none, rooms: rooms.map { ($0.0, RecoveryOffset(value: $0.1)) }, formerRooms: former,
                wantsGaps: false, secrets: [:], owedAcks: OwedAcks())
            let packets = log.missed(
                by: socket, after: RecoveryOffset(value: offset), confirmed: RecoveryOffset(value: confirmed))
            return packets?.flatMap { RecoveryLogTests.texts(of: $0).compactMap { RecoveryLogTests.number(in: $0) } }
        }
    }

    private static func texts(of packet: EncodedPacket) -> [String] {
        (0..<packet.partCount).map { index in
            var payload = ByteBuffer()
            packet.appendPart(index, to: &payload)
            return String(buffer: payload)
        }
    }

    private static func number(in text: String) -> Int? {
        guard let quote = text.firstIndex(of: "\"") else { return nil }
        return Int(text[text.index(after: quote)...].prefix { $0.isNumber })
    }

    @Test func `a socket gets what came to its rooms after its offset, in order`() {
        var log = Log()
        for room in ["r", "s", "r", "other", "s", "r"] { log.write(ByteString(room)) }
        #expect(log.missed(rooms: [("r", 0), ("s", 0)], after: 0) == [1, 2, 3, 5, 6])
        #expect(log.missed(rooms: [("r", 0), ("s", 0)], after: 3) == [5, 6])
        #expect(log.missed(rooms: [("r", 0), ("s", 0)], after: 6) == [])
        #expect(log.missed(rooms: [], after: 0) == [])
    }

    @Test func `messages to everybody and to the sid are for it, too`() {
        var log = Log()
        log.write(nil)
        log.write("sid")
        log.write("another sid")
        log.write("r")
        #expect(log.missed(after: 0) == [1, 2, 4])
        #expect(log.missed(after: 0, start: 1) == [2, 4])
    }

    @Test func `a message to several of its rooms comes once, and one that skips its sid never`() {
        var log = Log()
        log.write("r", "s", "sid")
        log.write("r", skip: ["sid"])
        log.write("s", skip: ["another"])
        #expect(log.missed(rooms: [("r", 0), ("s", 0)], after: 0) == [1, 3])
    }

    @Test func `what was sent before it entered a room isn't for it`() {
        var log = Log()
        for _ in 0..<4 { log.write("r") }
        #expect(log.missed(rooms: [("r", 2)], after: 1) == [3, 4])
        #expect(log.missed(rooms: [("r", 2)], after: 3) == [4])
    }

    @Test func `what was sent before a backend took it out of a room is for it`() {
        var log = Log()
        for _ in 0..<4 { log.write("r") }
        let former = RecoverableSocket.FormerRoom(name: "r", since: .init(value: 1), until: .init(value: 3))
        #expect(log.missed(rooms: [], former: [former], after: 0) == [2, 3])
        #expect(log.missed(rooms: [("r", 3)], former: [former], after: 2) == [3, 4])
    }

    @Test func `an offset in the middle of a packet leaves out the events before`() {
        var log = Log()
        log.write("r", events: 3)
        log.write("r", events: 2, attachments: [[1], [2]])
        #expect(log.missed(after: 0) == [1, 2, 3, 4, 5])
        #expect(log.missed(after: 1) == [2, 3, 4, 5])
        #expect(log.missed(after: 4) == [5])
    }

    @Test func `the rest of a packet is the same for websockets and polls`() {
        var log = Log()
        var scratch = JSONWriter(capacity: 64)
        func event(_ name: String, _ attachments: [[UInt8]]) -> EventBody {
            EventBody(json: Array("[\"\(name)\"]".utf8), attachments: attachments)
        }
        var builder = event("a", [[1, 2]]).withEncodedEvent {
            PacketBuilder($0, namespace: "/", offset: log.log.next(at: 0), scratch: &scratch)
        }
        for (name, attachments) in [("b", []), ("c", [[3], [4]])] as [(String, [[UInt8]])] {
            event(name, attachments).withEncodedEvent {
                builder.append($0, namespace: "/", offset: log.log.nextInPacket(), scratch: &scratch)
            }
        }
        let packet = builder.build()
        let rest = packet.dropFirst(events: 1)
        #expect(
            Self.texts(of: rest) == [#"42["b","AAAAAAAAAC"]"#, #"452-["c","AAAAAAAAAD"]"#, "bAw==", "bBA=="])
        #expect(rest.frames.readableBytesView.elementsEqual(packet.frames(from: 2).readableBytesView))
        #expect(rest.frames(from: 1).readableBytesView.elementsEqual(packet.frames(from: 3).readableBytesView))
    }

    @Test func `an offset can be added to a kept message, and the shared packet stays`() {
        var scratch = JSONWriter(capacity: 64)
        let packet = EventBody(json: Array(#"["x"]"#.utf8), attachments: [[1]]).withEncodedEvent {
            PacketBuilder($0, namespace: "/a", scratch: &scratch).build()
        }
        let more = packet.adding(.init(value: 2))
        #expect(Self.texts(of: more) == [#"451-/a,["x","AAAAAAAAAC"]"#, "bAQ=="])
        #expect(more.frames(from: 1).readableBytesView.elementsEqual(packet.frames(from: 1).readableBytesView))
        #expect(more.frames(from: 0).readableBytesView.first == 0x81 && more.byteCount == packet.byteCount + 13)
        #expect(Self.texts(of: packet) == [#"451-/a,["x"]"#, "bAQ=="])
    }

    // MARK: Bounds

    @Test func `a room beyond its bound loses its oldest events, and only it`() {
        var log = Log(roomBytes: 1000)
        log.write("s")
        for _ in 0..<20 { log.write("r", padding: 100) }
        #expect(log.missed(after: 0) == nil && log.missed(after: 10) == nil)
        #expect(log.missed(after: 20) == [21])
        #expect(log.missed(rooms: [("s", 0)], after: 0) == [1])
        // A socket that entered later has missed nothing of what is lost.
        #expect(log.missed(rooms: [("r", 20)], after: 0) == [21])
        #expect(log.log.byteCount < 3000)
    }

    @Test func `a room keeps its newest event, however large it is`() {
        var log = Log(roomBytes: 1000)
        for _ in 0..<3 { log.write("r", padding: 5000) }
        #expect(log.missed(after: 2) == [3])
    }

    @Test func `the log as a whole is bounded, and rooms without a loss stay recoverable`() {
        var log = Log(bytes: 400_000)
        for number in 0..<2000 { log.write(ByteString("r\(number % 500)"), padding: 50) }
        #expect(log.log.byteCount <= 400_000)
        #expect(log.missed(rooms: [("r0", 0)], after: 0) == nil)
        #expect(log.missed(rooms: [("r499", 0)], after: 1999) == [2000])
    }

    @Test func `events that are too old go, and so do the lists of their rooms`() {
        var log = Log(age: 100)
        log.write("r", at: 10)
        log.write("r", at: 50)
        log.log.expire(at: 120)
        #expect(log.missed(after: 9) == nil && log.missed(after: 10) == [50])
        log.log.expire(at: 1000)
        #expect(log.log.byteCount == 0)
        #expect(log.missed(after: 10) == nil && log.missed(after: 50) == [])
    }

    @Test func `a client whose heartbeat came later than what was dropped has missed nothing of it`() {
        var log = Log(age: 100)
        log.write("r", at: 10)
        log.write("r", at: 150)
        log.log.expire(at: 200)
        #expect(log.missed(after: 0) == nil)
        #expect(log.missed(after: 0, confirmed: 120) == [150])
    }

    @Test func `the order of removed entries doesn't grow without bound`() {
        var log = Log(roomBytes: 2000)
        for _ in 0..<100_000 { log.write("r", padding: 10) }
        #expect(log.log.byteCount < 4000 && log.log.orderCount < 3000)
    }

    @Test func `positions grow with time and never stand still`() {
        var log = RecoveryLog(limits: .init(age: 1, bytes: 1, roomBytes: 1))
        #expect(log.next(at: 100).value == 100)
        #expect(log.next(at: 100).value == 101)
        #expect(log.nextInPacket().value == 102)
        #expect(log.next(at: 50).value == 103)
        #expect(log.next(at: 200).value == 200)
    }
}
