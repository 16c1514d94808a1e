import Testing

@testable import SocketIOProtocol

@Suite struct EngineIOPacketTests {
    @Test(arguments: [
        ("0", EngineIOPacketType.open), ("1", .close), ("2", .ping), ("3", .pong), ("4", .message), ("5", .upgrade),
        ("6", .noop),
    ])
    func `the first character is the type and the rest the payload`(digit: String, type: EngineIOPacketType) throws {
        let text = Array((digit + "probe").utf8)
        let packet = try EngineIOPacket(text: text[...])
        #expect(packet == EngineIOPacket(type: type, payload: Array("probe".utf8)[...]))
        #expect(try EngineIOPacket(text: text[..<1]).payload.isEmpty)
    }

    @Test func `any other first character is refused`() {
        #expect(throws: EngineIOError.emptyPacket) { try EngineIOPacket(text: []) }
        for byte in UInt8.min...UInt8.max where !(0x30...0x36).contains(byte) {
            #expect(throws: EngineIOError.unknownPacketType(byte)) { try EngineIOPacket(text: [byte, 0x34]) }
        }
    }

    @Test func `a binary frame is a message`() {
        let packet = EngineIOPacket(binary: [1, 2])
        #expect(packet.type == .message && packet.isBinary && packet.payload == [1, 2])
    }

    @Test(arguments: [
        EngineIOError.emptyPacket, .unknownPacketType(0xAB), .invalidBase64, .invalidUTF8,
    ])
    func `an error reads as one line`(error: EngineIOError) {
        #expect(!error.description.isEmpty && !error.description.contains("\n"))
    }

    @Test func `the unknown type is named in hexadecimal`() {
        #expect(EngineIOError.unknownPacketType(0xAB).description.hasSuffix("0xab"))
    }
}
