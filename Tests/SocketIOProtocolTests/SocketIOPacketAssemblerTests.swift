import Testing

@testable import SocketIOProtocol

@Suite struct SocketIOPacketAssemblerTests {
    private static func text(_ text: String) -> EngineIOPacket {
        EngineIOPacket(type: .message, payload: Array(text.utf8)[...])
    }

    private static func binary(_ count: Int, _ byte: UInt8 = 0) -> EngineIOPacket {
        EngineIOPacket(binary: Array(repeating: byte, count: count)[...])
    }

    @Test func `a packet without attachments is complete at once`() throws {
        var assembler = SocketIOPacketAssembler(maximumBytes: 10)
        for packet in [#"2["a"]"#, "0", "1", #"50-["a"]"#] {
            let message = try #require(try assembler.received(Self.text(packet)))
            #expect(message.attachments.isEmpty)
        }
    }

    @Test func `a packet is complete with its last attachment`() throws {
        var assembler = SocketIOPacketAssembler(maximumBytes: 10)
        for _ in 0..<2 {
            #expect(try assembler.received(Self.text(#"52-["a"]"#)) == nil)
            #expect(try assembler.received(Self.binary(2, 1)) == nil)
            let message = try #require(try assembler.received(Self.binary(3, 2)))
            #expect(message.attachments == [[1, 1], [2, 2, 2]])
            #expect(message.packet.attachmentCount == 2)
        }
    }

    @Test func `an attachment that nobody announced is refused`() throws {
        var assembler = SocketIOPacketAssembler(maximumBytes: 10)
        #expect(throws: SocketIOError.unexpectedBinary) { try assembler.received(Self.binary(1)) }
        #expect(try assembler.received(Self.text(#"51-["a"]"#)) == nil)
        #expect(try assembler.received(Self.binary(1)) != nil)
        #expect(throws: SocketIOError.unexpectedBinary) { try assembler.received(Self.binary(1)) }
    }

    @Test func `a text where an attachment is due is refused`() throws {
        var assembler = SocketIOPacketAssembler(maximumBytes: 10)
        #expect(try assembler.received(Self.text(#"51-["a"]"#)) == nil)
        #expect(throws: SocketIOError.missingAttachments) { try assembler.received(Self.text(#"2["a"]"#)) }
    }

    @Test func `a wrong text is refused as it is`() {
        var assembler = SocketIOPacketAssembler(maximumBytes: 10)
        #expect(throws: SocketIOError.unknownType) { try assembler.received(Self.text("x")) }
    }

    @Test(arguments: [
        ([10], true), ([11], false), ([5, 5], true), ([5, 6], false), ([10, 0], true), ([0, 11], false),
    ])
    func `the bytes of all attachments count against the limit`(sizes: [Int], fits: Bool) throws {
        var assembler = SocketIOPacketAssembler(maximumBytes: 10)
        #expect(try assembler.received(Self.text("5\(sizes.count)-[\"a\"]")) == nil)
        for size in sizes.dropLast() { #expect(try assembler.received(Self.binary(size)) == nil) }
        let last = Self.binary(sizes.last ?? 0)
        if fits {
            #expect(try assembler.received(last) != nil)
        } else {
            #expect(throws: SocketIOError.tooManyAttachments) { try assembler.received(last) }
        }
    }

    @Test func `each packet has the whole limit`() throws {
        var assembler = SocketIOPacketAssembler(maximumBytes: 10)
        for _ in 0..<3 {
            #expect(try assembler.received(Self.text(#"51-["a"]"#)) == nil)
            #expect(try assembler.received(Self.binary(10)) != nil)
        }
    }

    @Test func `256 attachments are the most`() throws {
        var assembler = SocketIOPacketAssembler(maximumBytes: 1000)
        #expect(try assembler.received(Self.text(#"5256-["a"]"#)) == nil)
        for _ in 0..<255 { #expect(try assembler.received(Self.binary(1)) == nil) }
        #expect(try assembler.received(Self.binary(1))?.attachments.count == 256)
        #expect(throws: SocketIOError.tooManyAttachments) { try assembler.received(Self.text(#"5257-["a"]"#)) }
    }
}
