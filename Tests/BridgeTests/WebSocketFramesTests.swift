import NIOCore
import NIOWebSocket
import Testing

@testable import Bridge

@Suite struct WebSocketMessageAssemblerTests {
    private static func frame(_ opcode: WebSocketOpcode, _ text: String, fin: Bool = true) -> WebSocketFrame {
        WebSocketFrame(fin: fin, opcode: opcode, data: ByteBuffer(string: text))
    }

    @Test func `a whole frame is a message`() throws {
        var assembler = WebSocketMessageAssembler(maximumBytes: 10)
        for opcode in [WebSocketOpcode.text, .binary] {
            let message = try #require(try assembler.received(Self.frame(opcode, "abc")))
            #expect(message.isBinary == (opcode == .binary) && String(buffer: message.payload) == "abc")
        }
    }

    @Test func `fragments are joined, empty ones too, and the first tells the kind`() throws {
        var assembler = WebSocketMessageAssembler(maximumBytes: 10)
        for opcode in [WebSocketOpcode.text, .binary] {
            #expect(try assembler.received(Self.frame(opcode, "a", fin: false)) == nil)
            #expect(try assembler.received(Self.frame(.continuation, "", fin: false)) == nil)
            #expect(try assembler.received(Self.frame(.continuation, "bc", fin: false)) == nil)
            let message = try #require(try assembler.received(Self.frame(.continuation, "")))
            #expect(message.isBinary == (opcode == .binary) && String(buffer: message.payload) == "abc")
        }
    }

    @Test func `a continuation needs a beginning, and a beginning an end`() throws {
        var assembler = WebSocketMessageAssembler(maximumBytes: 10)
        #expect(throws: WebSocketViolation.fragmentation) { try assembler.received(Self.frame(.continuation, "a")) }
        #expect(try assembler.received(Self.frame(.text, "a", fin: false)) == nil)
        #expect(throws: WebSocketViolation.fragmentation) { try assembler.received(Self.frame(.text, "a")) }
    }

    @Test func `the limit holds for all fragments together`() throws {
        var assembler = WebSocketMessageAssembler(maximumBytes: 10)
        #expect(try assembler.received(Self.frame(.text, "01234", fin: false)) == nil)
        #expect(try assembler.received(Self.frame(.continuation, "56789")) != nil)
        #expect(try assembler.received(Self.frame(.text, "01234", fin: false)) == nil)
        #expect(throws: WebSocketViolation.tooLarge) { try assembler.received(Self.frame(.continuation, "567890")) }
    }
}

extension WebSocketMessageAssembler.Message: Equatable {
    public static func == (left: Self, right: Self) -> Bool {
        left.isBinary == right.isBinary && left.payload == right.payload
    }
}

@Suite struct WebSocketCloseFrameTests {
    @Test(
        arguments: [
            ([], nil), ([0x03], 1002), ([0x03, 0xE8], 1000), ([0x03, 0xE8, 0x62], 1000), ([0x03, 0xE8, 0xFF], 1007),
            ([0x03, 0xE7], 1002), ([0x03, 0xEC], 1002), ([0x03, 0xED], 1002), ([0x03, 0xEE], 1002),
            ([0x03, 0xEF], 1007),
            ([0x03, 0xF6], 1014), ([0x03, 0xF7], 1002), ([0x07, 0xD0], 1002), ([0x0B, 0xB8], 3000),
            ([0x13, 0x87], 4999),
            ([0x13, 0x88], 1002), ([0x00, 0x00], 1002),
        ] as [([UInt8], UInt16?)])
    func `the client's code is echoed or judged`(payload: [UInt8], code: UInt16?) {
        #expect(WebSocketCloseFrame.answerCode(to: ByteBuffer(bytes: payload)) == code)
    }
}
