import NIOCore
import Testing

@testable import Bridge

@Suite struct WebSocketMessageAssemblerTests {
    private static func frame(_ opcode: WebSocketFrame.Opcode, _ text: String, fin: Bool = true) -> WebSocketFrame {
        WebSocketFrame(opcode: opcode, isFinal: fin, payload: Array(text.utf8))
    }

    @Test func `a whole frame is a message`() throws {
        var assembler = WebSocketMessageAssembler(maximumBytes: 10)
        for opcode in [WebSocketFrame.Opcode.text, .binary] {
            let message = try #require(try assembler.received(Self.frame(opcode, "abc")))
            #expect(message.isBinary == (opcode == .binary) && message.payload == Array("abc".utf8))
        }
    }

    @Test func `fragments are joined, empty ones too, and the first tells the kind`() throws {
        var assembler = WebSocketMessageAssembler(maximumBytes: 10)
        for opcode in [WebSocketFrame.Opcode.text, .binary] {
            #expect(try assembler.received(Self.frame(opcode, "a", fin: false)) == nil)
            #expect(try assembler.received(Self.frame(.continuation, "", fin: false)) == nil)
            #expect(try assembler.received(Self.frame(.continuation, "bc", fin: false)) == nil)
            let message = try #require(try assembler.received(Self.frame(.continuation, "")))
            #expect(message.isBinary == (opcode == .binary) && message.payload == Array("abc".utf8))
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

@Suite struct WebSocketFrameParserTests {
    /// A client's frame: the bits of its first byte, a length spelled in 7, 16 or 64 bits, a mask.
    private static func bytes(
        _ first: UInt8, _ payload: [UInt8], width: Int? = nil, key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
    ) -> [UInt8] {
        let width = width ?? (payload.count < 126 ? 7 : payload.count < 65536 ? 16 : 64)
        var bytes = [first, 0x80 | (width == 7 ? UInt8(payload.count) : width == 16 ? 126 : 127)]
        if width > 7 {
            for shift in stride(from: width - 8, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: payload.count >> shift))
            }
        }
        return bytes + key + payload.enumerated().map { $1 ^ key[$0 % 4] }
    }

    @Test(arguments: [0, 1, 3, 4, 7, 8, 9, 125, 126, 127, 65535, 65536])
    func `a frame of any length comes out as it went in, at any spelling of its length`(count: Int) throws {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for width in [7, 16, 64] where width > 7 || count < 126 {
            if width == 16, count > 65535 { continue }
            var buffer = ByteBuffer(bytes: Self.bytes(0x82, payload, width: width) + [0x81])
            let frame = try #require(try WebSocketFrameParser(maximumBytes: 65536).next(in: &buffer))
            #expect(frame == WebSocketFrame(opcode: .binary, isFinal: true, payload: payload))
            #expect(buffer.readableBytes == 1, "what follows stays")
        }
    }

    @Test func `a frame cut anywhere waits for the rest`() throws {
        let parser = WebSocketFrameParser(maximumBytes: 70000)
        for payload in [Array("hello".utf8), Array(repeating: 1, count: 300), Array(repeating: 2, count: 65536)] {
            let whole = Self.bytes(0x01, payload)
            for cut in 0..<min(whole.count, 400) {
                var buffer = ByteBuffer(bytes: whole[..<cut])
                #expect(try parser.next(in: &buffer) == nil)
                #expect(buffer.readableBytes == cut, "nothing is taken")
                buffer.writeBytes(whole[cut...])
                #expect(try parser.next(in: &buffer)?.payload == payload)
            }
        }
    }

    @Test func `a payload may have the limit, and one more is refused by its header`() throws {
        let parser = WebSocketFrameParser(maximumBytes: 200)
        var exact = ByteBuffer(bytes: Self.bytes(0x81, Array(repeating: 0x61, count: 200)))
        #expect(try parser.next(in: &exact)?.payload.count == 200)
        var over = ByteBuffer(bytes: [0x81, 0xFE, 0, 201])
        #expect(throws: WebSocketViolation.tooLarge) { try parser.next(in: &over) }
        var huge = ByteBuffer(bytes: [0x81, 0xFF] + Array(repeating: 0xFF, count: 8))
        #expect(throws: WebSocketViolation.tooLarge) { try parser.next(in: &huge) }
    }

    @Test(
        arguments: [
            ([0x81, 0x05], .frameBits), ([0xC1, 0x85], .frameBits), ([0xA1, 0x85], .frameBits),
            ([0x91, 0x85], .frameBits), ([0x83, 0x85], .opcode), ([0x87, 0x85], .opcode), ([0x8B, 0x80], .opcode),
            ([0x8F, 0x80], .opcode), ([0x09, 0x80], .controlFrame), ([0x89, 0xFE], .controlFrame),
            ([0x88, 0xFF], .controlFrame), ([0x8A, 0xFE], .controlFrame),
        ] as [([UInt8], WebSocketViolation)])
    func `two bytes are enough to refuse a frame`(bytes: [UInt8], violation: WebSocketViolation) {
        var buffer = ByteBuffer(bytes: bytes)
        #expect(throws: violation) { try WebSocketFrameParser(maximumBytes: 1000).next(in: &buffer) }
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
        #expect(WebSocketCloseFrame.responseCode(to: payload) == code)
    }
}
