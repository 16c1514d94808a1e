import Bytes
import Logging
import NIOCore
import NIOEmbedded
import SocketIOProtocol
import Testing

@testable import Bridge

/// A websocket between a link and an owner of the test's: no network, no session, no router.
@Suite struct WebSocketConnectionTests {
    private final class Link: WebSocketLink {
        var isWritable = true
        var unsentBytes: Int { isWritable ? 0 : waitingBytes }
        var waitingBytes = 1
        let openDescriptor: CInt = -1
        private(set) var sent: [[UInt8]] = []
        private(set) var isClosed = false

        func write(_ bytes: ByteBuffer) { sent.append(Array(bytes.readableBytesView)) }
        func close() { isClosed = true }
        func closeWhenSent() { isClosed = true }
    }

    private final class Owner: WebSocketOwner {
        let sid: ByteString = "sid"
        var accepts = true
        private(set) var events: [String] = []

        func attach(_ webSocket: WebSocketConnection) -> Bool { accepts }
        func received(_ packet: EngineIOPacket, from webSocket: WebSocketConnection) {
            events.append("\(packet.type) \(String(decoding: packet.payload, as: UTF8.self))")
        }
        func refuse(_ error: any Error, from webSocket: WebSocketConnection) { events.append("broken packet") }
        func refused(_ refusal: ClientRefusal) { events.append("refused \(refusal.cause)") }
        func webSocketWritable() { events.append("writable") }
        func closed(_ webSocket: WebSocketConnection) { events.append("closed") }
    }

    private final class Host: ConnectionHost {
        let connections: ConnectionTable
        let owner = Owner()

        init(_ eventLoop: EmbeddedEventLoop) {
            var configuration = BridgeConfiguration()
            configuration.maxPayload = 1000
            connections = ConnectionTable(
                eventLoop: eventLoop, configuration: configuration, total: OpenConnections(limit: 10),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }

        func flush() {}
        func refused(_ refusal: ClientRefusal, by client: () -> Logger.Metadata) {}
        func openSession(over webSocket: WebSocketConnection) -> (any WebSocketOwner)? { owner }
    }

    private let eventLoop = EmbeddedEventLoop()
    private let link = Link()
    private let host: Host
    private let webSocket: WebSocketConnection

    init() {
        host = Host(eventLoop)
        webSocket = WebSocketConnection(host: host, handshakeResponse: ByteBuffer(string: "101"))
        webSocket.open(over: link, for: .newSession)
    }

    /// A masked frame whose mask is zero.
    private static func frame(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true) -> [UInt8] {
        let size: [UInt8] =
            payload.count < 126
            ? [0x80 | UInt8(payload.count)] : [0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        return [opcode | (isFinal ? 0x80 : 0)] + size + [0, 0, 0, 0] + payload
    }

    private func receive(_ bytes: [UInt8]) {
        var buffer = ByteBuffer(bytes: bytes)
        webSocket.received(&buffer)
    }

    /// The code of the last frame sent, if that closes.
    private var closeCode: Int? {
        guard let frame = link.sent.last, frame.count == 4, frame[0] == 0x88 else { return nil }
        return Int(frame[2]) << 8 | Int(frame[3])
    }

    @Test func `a slow client gets the reason behind the bytes that it hasn't read, unless these are many`() {
        link.isWritable = false
        link.waitingBytes = BridgeLimits.bytesBeforeClose
        webSocket.close(.slowClient(.stalled))
        let text = Array("slow client: nothing was taken for --stall-timeout".utf8)
        #expect(link.sent.last == [0x88, UInt8(2 + text.count), 0x0F, 0xA8] + text && !link.isClosed)
        eventLoop.advanceTime(by: .seconds(3))
        #expect(link.isClosed, "it has read neither")
        for cause in EngineIOSession.SlowClient.allCases { #expect(cause.text.utf8.count <= 123) }
    }

    @Test(arguments: [EngineIOSession.CloseReason.slowClient(.queueFull), .pingTimeout])
    func `a client that leaves too much unread is cut off`(reason: EngineIOSession.CloseReason) {
        link.isWritable = false
        if reason != .pingTimeout { link.waitingBytes = BridgeLimits.bytesBeforeClose + 1 }
        let count = link.sent.count
        webSocket.close(reason)
        #expect(link.sent.count == count && link.isClosed)
    }

    @Test func `the 101 response leaves with the first write`() {
        #expect(link.sent == [Array("101".utf8)])
        let second = WebSocketConnection(host: host, handshakeResponse: ByteBuffer(string: "101"))
        second.write(ByteBuffer(string: "frame"))
        #expect(link.sent.count == 1, "not before there is a link")
    }

    @Test func `a session that refuses its websocket closes it`() {
        host.owner.accepts = false
        let probe = WebSocketConnection(host: host, handshakeResponse: ByteBuffer(string: "101"))
        probe.open(over: link, for: .upgrade(host.owner))
        #expect(link.sent.last == Array("101".utf8) + [0x88, 2, 0x03, 0xF0])
    }

    @Test func `packets reach the owner, in whatever pieces they come`() {
        let frames =
            Self.frame(1, Array("4a".utf8)) + Self.frame(1, Array("4".utf8), isFinal: false) + Self.frame(9, [])
            + Self.frame(0, Array("b".utf8)) + Self.frame(2, Array("c".utf8))
        receive(frames)
        for byte in frames { receive([byte]) }
        let packets = host.owner.events.filter { $0 != "writable" }
        #expect(packets == ["message a", "message b", "message c", "message a", "message b", "message c"])
        #expect(webSocket.unfinishedBytes == 0)
    }

    @Test func `bytes of an unfinished frame are counted until the connection ends`() {
        receive(Array(Self.frame(1, Array(repeating: 0x34, count: 500)).prefix(300)))
        #expect(webSocket.unfinishedBytes == 300 && host.connections.unfinished.count == 1)
        webSocket.disconnected()
        #expect(host.connections.unfinished.count == 0 && host.owner.events.last == "closed")
    }

    @Test(
        arguments: [
            (Self.frame(1, [0xFF]), 1007), (Self.frame(1, Array(repeating: 0x34, count: 1001)), 1009),
            (Self.frame(3, []), 1002), ([0xC1, 0x80, 0, 0, 0, 0], 1002), ([0x81, 0x01, 0x34], 1002),
            (Self.frame(0, []), 1002),
        ] as [([UInt8], Int)])
    func `a violation ends the connection with its code`(bytes: [UInt8], code: Int) {
        receive(bytes)
        #expect(closeCode == code && host.owner.events.last == "closed")
        #expect(host.connections.counters.invalidPackets == 1)
        receive(Self.frame(1, Array("4a".utf8)))
        #expect(host.owner.events.last == "closed", "nothing is read afterwards")
    }

    @Test func `a broken packet is the owner's to refuse`() {
        receive(Self.frame(1, Array("x".utf8)))
        #expect(host.owner.events.last == "broken packet" && closeCode == nil)
    }

    @Test func `a ping is answered, and of many that are not read the last one`() {
        receive(Self.frame(9, [1]))
        #expect(link.sent.last == [0x8A, 1, 1])
        link.isWritable = false
        for byte: UInt8 in 2...4 { receive(Self.frame(9, [byte])) }
        #expect(link.sent.last == [0x8A, 1, 1])
        link.isWritable = true
        webSocket.canSendAgain()
        #expect(link.sent.last == [0x8A, 1, 4])
    }

    @Test func `a close frame is sent back, and the owner told`() {
        receive(Self.frame(8, [0x0F, 0xA0]))
        #expect(closeCode == 4000 && link.isClosed && host.owner.events.last == "closed")
    }

    @Test func `a client that doesn't close in its turn is cut off in time`() {
        webSocket.close(.goingAway)
        #expect(closeCode == 1001 && !link.isClosed)
        eventLoop.advanceTime(by: .seconds(2))
        #expect(!link.isClosed)
        eventLoop.advanceTime(by: .seconds(1))
        #expect(link.isClosed)
    }

    @Test func `a client that doesn't read gets no close frame`() {
        link.isWritable = false
        webSocket.close(.goingAway)
        #expect(closeCode == nil && link.isClosed)
    }
}
