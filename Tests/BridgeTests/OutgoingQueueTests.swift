import Bytes
import NIOCore
import PubSubMessages
import Testing

@testable import Bridge

@Suite struct OutgoingQueueTests {
    private static func text(_ text: String) -> EncodedPacket {
        Array(text.utf8).withUnsafeBytes { EncodedPacket(text: $0) }
    }

    private static func event(_ json: String, attachments: [[UInt8]] = [], ackID: Int? = nil) -> EncodedPacket {
        var scratch = JSONWriter()
        return EventBody(json: Array(json.utf8), attachments: attachments).withEncodedEvent {
            PacketBuilder($0, namespace: "/", ackID: ackID, scratch: &scratch).build()
        }
    }

    private static func payload(_ queue: inout OutgoingQueue) -> [String] {
        String(buffer: queue.popPayload()).split(separator: "\u{1E}").map(String.init)
    }

    /// All frames the queue gives, as (opcode, payload).
    private static func frames(_ queue: inout OutgoingQueue) -> [String] {
        var scratch = ByteBuffer()
        var found: [String] = []
        while var bytes = queue.popFrames(joining: &scratch) {
            while let first = bytes.readInteger(as: UInt8.self), let second = bytes.readInteger(as: UInt8.self) {
                var length = Int(second)
                if second == 126 { length = bytes.readInteger(as: UInt16.self).map(Int.init) ?? 0 }
                if second == 127 { length = bytes.readInteger(as: UInt64.self).map(Int.init) ?? 0 }
                found.append("\(first & 15):" + (bytes.readString(length: length) ?? "?"))
            }
        }
        return found
    }

    @Test(arguments: [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
    func `a frame's header says the same whether written to a buffer or to memory`(length: Int) {
        for opcode in [WebSocketFrame.Opcode.text, .binary] {
            var buffer = ByteBuffer()
            WebSocketFrameHeader.write(opcode, payloadBytes: length, to: &buffer)
            let memory = [UInt8](unsafeUninitializedCapacity: WebSocketFrameHeader.maximumBytes) { target, count in
                count = WebSocketFrameHeader.write(
                    opcode, payloadBytes: length, to: UnsafeMutableRawBufferPointer(target))
            }
            #expect(memory == Array(buffer: buffer))
        }
    }

    @Test func `a poll takes 16 packets and leaves the rest`() {
        var queue = OutgoingQueue()
        for number in 0..<40 { queue.append(Self.text("4\(number)")) }
        #expect(Self.payload(&queue) == (0..<16).map { "4\($0)" })
        #expect(Self.payload(&queue) == (16..<32).map { "4\($0)" })
        #expect(Self.payload(&queue) == (32..<40).map { "4\($0)" })
        #expect(queue.isEmpty && queue.byteCount == 0)
        #expect(Self.payload(&queue) == [])
    }

    @Test func `exactly 16 packets fit one answer`() {
        var queue = OutgoingQueue()
        for number in 0..<16 { queue.append(Self.text("4\(number)")) }
        #expect(Self.payload(&queue).count == 16)
        #expect(queue.isEmpty)
    }

    @Test func `attachments are base64 parts of their own`() {
        var queue = OutgoingQueue()
        queue.append(Self.event(#"["x",{"_placeholder":true,"num":0}]"#, attachments: [[0, 255]]))
        #expect(Self.payload(&queue) == [#"451-["x",{"_placeholder":true,"num":0}]"#, "bAP8="])
    }

    @Test func `a packet with many attachments spans polls`() {
        var queue = OutgoingQueue()
        queue.append(Self.event("[]", attachments: (0..<20).map { [$0] }))
        queue.append(Self.text("4z"))
        let bytes = queue.byteCount
        #expect(Self.payload(&queue).count == 16)
        #expect(queue.byteCount == bytes, "a packet counts until its last part is gone")
        let rest = Self.payload(&queue)
        #expect(rest == ["bDw==", "bEA==", "bEQ==", "bEg==", "bEw==", "4z"])
        #expect(queue.byteCount == 0)
    }

    @Test(arguments: [0, 1, 2, 3, 4])
    func `an upgrade between two polls goes on with the part that is next`(polled: Int) {
        var queue = OutgoingQueue()
        // Fill the answer so that it ends after `polled` parts of the packet with three.
        for _ in 0..<(16 - polled) { queue.append(Self.text("2")) }
        queue.append(Self.event("[]", attachments: [[65], [66]]))
        queue.append(Self.text("4z"))
        #expect(Self.payload(&queue).count == 16)
        let all = ["1:452-[]", "2:A", "2:B", "1:4z"]
        #expect(Self.frames(&queue) == Array(all.dropFirst(polled)))
        #expect(queue.isEmpty && queue.byteCount == 0)
        queue.append(Self.event("[]", attachments: [[67]]))
        #expect(Self.frames(&queue) == ["1:451-[]", "2:C"], "the next packet starts at its beginning")
    }

    @Test(arguments: [0, 1, 125, 126, 127, 65535, 65536, 70_000])
    func `a frame of any length says its length`(length: Int) {
        var queue = OutgoingQueue()
        let text = String(repeating: "a", count: length)
        queue.append(Self.text(text))
        queue.append(Self.text("4z"))
        #expect(Self.frames(&queue) == ["1:" + text, "1:4z"])
    }

    @Test func `events joined into one packet come out one by one`() {
        var scratch = JSONWriter()
        var builder = EventBody(json: Array("[1]".utf8), attachments: [[65]]).withEncodedEvent {
            PacketBuilder($0, namespace: "/a", scratch: &scratch)
        }
        for body in [EventBody(json: Array("[2]".utf8)), EventBody(json: Array("[3]".utf8), attachments: [[66]])] {
            body.withEncodedEvent { builder.append($0, namespace: "/a", scratch: &scratch) }
        }
        let packet = builder.build()
        #expect(packet.partCount == 5)
        var polled = OutgoingQueue()
        polled.append(packet)
        #expect(Self.payload(&polled) == ["451-/a,[1]", "bQQ==", "42/a,[2]", "451-/a,[3]", "bQg=="])
        var framed = OutgoingQueue()
        framed.append(packet)
        #expect(Self.frames(&framed) == ["1:451-/a,[1]", "2:A", "1:42/a,[2]", "1:451-/a,[3]", "2:B"])
    }

    @Test func `an ack id stands between namespace and data`() {
        var queue = OutgoingQueue()
        queue.append(Self.event(#"["x"]"#, ackID: 17))
        #expect(Self.payload(&queue) == [#"4217["x"]"#])
    }

    // MARK: Packets that give way

    private static func packet(_ text: String, _ treatment: WaitTreatment) -> EncodedPacket {
        var frames = ByteBuffer()
        let part = Array(text.utf8).withUnsafeBytes { PacketBuilder.appendFrame($0, to: &frames) }
        return EncodedPacket(frames: frames, firstPart: part, furtherParts: [], treatment: treatment)
    }

    private static func latest(_ text: String, _ identity: UInt64) -> EncodedPacket {
        packet(text, WaitTreatment(policy: .latest, identity: identity))
    }

    /// Queues a packet as a client gets it that takes nothing.
    private static func wait(_ packet: EncodedPacket, in queue: inout OutgoingQueue) {
        _ = queue.makeIndex()
        if !packet.treatment.isLatest || !queue.replace(with: packet) { queue.append(packet) }
    }

    @Test func `a newer packet stands where the one of its identity stood`() {
        var queue = OutgoingQueue()
        for (text, identity) in [("a1", 1), ("b1", 2), ("a2", 1), ("c1", 3), ("b2", 2), ("a3", 1)] as [(String, UInt64)]
        {
            Self.wait(Self.latest(text, identity), in: &queue)
        }
        #expect(queue.packetCount == 3 && queue.byteCount == 12 && queue.bytesBesidesLatest == 0)
        #expect(Self.frames(&queue) == ["1:a3", "1:b2", "1:c1"] && !queue.isIndexed)
    }

    @Test func `packets that were queued before the index was made count too, the newest in the place of the oldest`() {
        var queue = OutgoingQueue()
        for text in ["a1", "a2"] { queue.append(Self.latest(text, 1)) }
        queue.append(Self.text("4z"))
        queue.append(Self.latest("a3", 1))
        #expect(queue.makeIndex() == 2 && queue.makeIndex() == 0)
        #expect(queue.packetCount == 2 && queue.bytesBesidesLatest == 4)
        #expect(Self.payload(&queue) == ["a3", "4z"])
    }

    @Test func `a packet that has left is not replaced, nor one of which a poll has taken parts`() {
        var queue = OutgoingQueue()
        let many = EventBody(json: Array("[]".utf8), attachments: (0..<20).map { [$0] })
        let packet = many.withEncodedEvent { event in
            var scratch = JSONWriter()
            return PacketBuilder(event, namespace: "/", scratch: &scratch)
                .build(WaitTreatment(policy: .latest, identity: 1))
        }
        queue.append(packet)
        #expect(Self.payload(&queue).count == 16)
        Self.wait(Self.latest("a2", 1), in: &queue)
        Self.wait(Self.latest("a3", 1), in: &queue)
        #expect(queue.packetCount == 2)
        #expect(queue.dropOldest(downTo: 0, leaving: 0) == 0)
        #expect(Self.payload(&queue).suffix(2) == ["bEw==", "a3"])
        Self.wait(Self.latest("a4", 1), in: &queue)
        #expect(Self.payload(&queue) == ["a4"])
    }

    @Test func `the oldest packets that may be dropped are, and no others`() {
        var queue = OutgoingQueue()
        for (text, treatment) in [("k1", .disconnect), ("d1", .dropOldest), ("d2", .dropOldest), ("k2", .disconnect)]
            as [(String, WaitTreatment)]
        {
            queue.append(Self.packet(text, treatment))
        }
        queue.append(Self.latest("l1", 1))
        queue.append(Self.packet("d3", .dropOldest))
        _ = queue.makeIndex()
        #expect(queue.dropOldest(downTo: 20, leaving: 0) == 1 && queue.packetCount == 5 && queue.byteCount == 20)
        #expect(queue.dropOldest(downTo: 0, leaving: 4) == 1)
        #expect(queue.dropOldest(downTo: 0, leaving: 0) == 1)
        queue.append(Self.packet("d4", .dropOldest))
        #expect(Self.frames(&queue) == ["1:k1", "1:k2", "1:l1", "1:d4"])
        #expect(queue.isEmpty && queue.byteCount == 0 && queue.packetCount == 0)
    }

    @Test func `a queue behaves as a plain list does, in any order of what happens to it`() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var queue = OutgoingQueue()
            var model: [(text: String, treatment: WaitTreatment)] = []
            for step in 0..<300 {
                switch UInt8.random(in: 0..<16, using: &random) {
                case 0..<12:
                    let treatment: WaitTreatment =
                        switch UInt8.random(in: 0..<8, using: &random) {
                        case 0: .disconnect
                        case 1...4: .dropOldest
                        default: WaitTreatment(policy: .latest, identity: .random(in: 1...5, using: &random))
                        }
                    Self.wait(Self.packet("\(step)", treatment), in: &queue)
                    if treatment.isLatest, let index = model.firstIndex(where: { $0.treatment == treatment }) {
                        model[index].text = "\(step)"
                    } else {
                        model.append(("\(step)", treatment))
                    }
                case 12..<15:
                    let limit = Int.random(in: 0..<200, using: &random)
                    _ = queue.makeIndex()
                    _ = queue.dropOldest(downTo: limit, leaving: 1)
                    while model.reduce(0, { $0 + $1.text.utf8.count + 2 }) > limit, model.count > 1,
                        let index = model.firstIndex(where: { $0.treatment.isDropOldest })
                    {
                        model.remove(at: index)
                    }
                default:
                    #expect(Self.payload(&queue) == model.prefix(16).map(\.text))
                    model.removeFirst(min(16, model.count))
                }
                #expect(queue.packetCount == model.count)
                #expect(queue.byteCount == model.reduce(0) { $0 + $1.text.utf8.count + 2 })
            }
            #expect(Self.frames(&queue) == model.map { "1:" + $0.text })
        }
    }

    @Test func `a packet that stays in front does not keep the places of those dropped behind it`() {
        var queue = OutgoingQueue()
        queue.append(Self.text("4a"))
        for number in 0..<100_000 {
            Self.wait(Self.packet("\(number % 10)", .dropOldest), in: &queue)
            _ = queue.dropOldest(downTo: 100, leaving: 1)
        }
        #expect(queue.packetCount == 33 && queue.capacity < 200)
    }

    @Test func `an emptied queue is as new`() {
        var queue = OutgoingQueue()
        queue.append(Self.event("[]", attachments: (0..<20).map { [$0] }))
        _ = Self.payload(&queue)
        queue.removeAll()
        #expect(queue.isEmpty && queue.byteCount == 0)
        queue.append(Self.event("[]", attachments: [[65]]))
        #expect(Self.payload(&queue) == ["451-[]", "bQQ=="])
    }
}
