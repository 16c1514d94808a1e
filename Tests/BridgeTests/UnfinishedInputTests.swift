import Logging
import NIOCore
import Testing

@testable import Bridge

/// The bound on what all clients together have begun and not ended.
@Suite struct UnfinishedInputTests {
    /// A websocket without a network.
    private final class Client: WebSocketLink {
        let webSocket: WebSocketConnection
        private(set) var sent: [UInt8] = []
        private(set) var isClosed = false
        var unsentBytes: Int { 0 }
        var isWritable: Bool { true }
        var openDescriptor: CInt { -1 }

        init(_ harness: BridgeHarness) {
            webSocket = WebSocketConnection(host: harness.shard, handshakeResponse: ByteBuffer())
            webSocket.open(over: self, for: .newSession)
            harness.shard.flush()
        }

        func write(_ bytes: ByteBuffer) { sent += bytes.readableBytesView }
        func close() {
            guard !isClosed else { return }
            isClosed = true
            webSocket.disconnected()
        }
        func closeWhenSent() { close() }

        /// A frame of `length` bytes of which `sent` come.
        func frame(_ length: Int, sent count: Int, opcode: UInt8 = 1, isFinal: Bool = true) {
            var bytes = ByteBuffer(bytes: [opcode | (isFinal ? 0x80 : 0), 0xFE])
            bytes.writeInteger(UInt16(length))
            bytes.writeRepeatingByte(0, count: 4)
            bytes.writeRepeatingByte(UInt8(ascii: "6"), count: count)
            webSocket.received(&bytes)
        }

        /// The code of the close frame it was sent last.
        var closeCode: Int? {
            guard sent.count >= 4, sent[sent.count - 4] == 0x88 else { return nil }
            return sent.suffix(2).reduce(0) { $0 << 8 | Int($1) }
        }
    }

    private static func harness(limit: Int) -> BridgeHarness {
        var configuration = BridgeConfiguration()
        configuration.canaryInterval = nil
        configuration.maxUnfinishedBytes = limit
        return BridgeHarness(configuration)
    }

    @Test func `beyond the bound the connections whose messages began first are closed, and no others`() {
        let harness = Self.harness(limit: 8000)
        let clients = (0..<8).map { _ in Client(harness) }
        for client in clients { client.frame(2000, sent: 900) }
        let late = Client(harness)
        late.frame(2000, sent: 1500)
        #expect(clients.map(\.closeCode) == [1013, 1013] + Array(repeating: nil, count: 6))
        #expect(late.closeCode == nil && harness.shard.counters.unfinishedGivenUp == 2)
        var rest = ByteBuffer(repeating: UInt8(ascii: "6"), count: 500)
        late.webSocket.received(&rest)
        #expect(late.webSocket.unfinishedBytes == 0, "the rest of its frame is taken")
        #expect(harness.shard.counters.invalidPackets == 0)
    }

    @Test func `a message that ends, and a connection that does, makes room`() {
        let harness = Self.harness(limit: 8000)
        let (first, second) = (Client(harness), Client(harness))
        for _ in 0..<20 {
            first.frame(5000, sent: 4000)
            #expect(first.webSocket.unfinishedBytes == 4008)
            var rest = ByteBuffer(repeating: UInt8(ascii: "6"), count: 1000)
            first.webSocket.received(&rest)
            #expect(first.webSocket.unfinishedBytes == 0)
        }
        first.frame(5000, sent: 4000)
        first.close()
        second.frame(5000, sent: 4500)
        #expect(harness.shard.connections.unfinished.count == 1 && harness.shard.counters.unfinishedGivenUp == 0)
    }

    @Test func `fragments, and packets that wait for attachments, count as well`() {
        let harness = Self.harness(limit: 8000)
        let (fragments, attachments) = (Client(harness), harness.makeSession())
        for opcode: UInt8 in [1, 0, 0] { fragments.frame(1000, sent: 1000, opcode: opcode, isFinal: false) }
        #expect(fragments.webSocket.unfinishedBytes == 3000)
        _ = harness.post(
            "40", #"452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#, to: attachments)
        _ = harness.post("b" + String(repeating: "A", count: 4000), to: attachments)
        #expect(attachments.unfinishedBytes > 3000)
        let late = Client(harness)
        late.frame(3000, sent: 2500)
        #expect(fragments.closeCode == 1013 && !attachments.isClosed && late.closeCode == nil)
    }

    @Test func `a body whose end doesn't come is answered with 503 when others need the room`() throws {
        let harness = try HTTPHarness {
            $0.maxUnfinishedBytes = 8000
            $0.maxEmitBodyBytes = 6000
        }
        let head = "POST /emit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 6000\r\n\r\n"
        harness.send(head + String(repeating: " ", count: 4000))
        #expect(harness.harness.shard.connections.unfinished.count == 1)
        let late = Client(harness.harness)
        late.frame(6000, sent: 5000)
        harness.harness.eventLoop.run()
        #expect(harness.harness.shard.counters.unfinishedGivenUp == 1 && late.closeCode == nil)
    }

    @Test func `the bound is logged once a minute for all event loops`() {
        let total = UnfinishedTotal(limit: 1)
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
        #expect(total.mayLog(at: start))
        #expect(!total.mayLog(at: start + .seconds(59)))
        #expect(total.mayLog(at: start + .seconds(60)))
    }
}
