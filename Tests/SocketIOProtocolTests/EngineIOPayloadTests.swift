import Testing

@testable import SocketIOProtocol

@Suite struct EngineIOPayloadTests {
    /// The packets before the first broken one, and the error.
    private static func decode(_ body: [UInt8]) -> (packets: [EngineIOPacket], error: EngineIOError?) {
        var packets: [EngineIOPacket] = []
        do throws(EngineIOError) {
            try EngineIOPayload.forEachPacket(in: body[...]) { packets.append($0) }
            return (packets, nil)
        } catch {
            return (packets, error)
        }
    }

    @Test func `packets are split at the record separator`() {
        let (packets, error) = Self.decode(Array("4hello\u{1E}2\u{1E}bAQIDBA==\u{1E}4".utf8))
        #expect(error == nil)
        #expect(
            packets == [
                EngineIOPacket(type: .message, payload: Array("hello".utf8)[...]), EngineIOPacket(type: .ping),
                EngineIOPacket(binary: [1, 2, 3, 4]), EngineIOPacket(type: .message),
            ])
    }

    @Test func `more than 16 packets are read`() {
        let body = Array(Array(repeating: "4x", count: 500).joined(separator: "\u{1E}").utf8)
        #expect(Self.decode(body).packets.count == 500)
    }

    @Test(
        arguments: [
            ("", 0, .emptyPacket), ("\u{1E}", 0, .emptyPacket), ("4a\u{1E}", 1, .emptyPacket),
            ("4a\u{1E}\u{1E}4b", 1, .emptyPacket), ("4a\u{1E}x\u{1E}4b", 1, .unknownPacketType(UInt8(ascii: "x"))),
            ("7", 0, .unknownPacketType(UInt8(ascii: "7"))), ("4a\u{1E}bA", 1, .invalidBase64),
            ("bA", 0, .invalidBase64),
        ] as [(String, Int, EngineIOError)])
    func `packets before a broken one count`(body: String, before: Int, error: EngineIOError) {
        let result = Self.decode(Array(body.utf8))
        #expect(result.packets.count == before)
        #expect(result.error == error)
    }

    @Test func `text that is no UTF-8 is refused`() {
        #expect(Self.decode([0x34, 0xFF]).error == .invalidUTF8)
        #expect(Self.decode([0x34, 0xC3, 0x1E, 0xA9]).error == .invalidUTF8)
    }

    @Test func `an attachment may be empty`() {
        #expect(Self.decode([UInt8(ascii: "b")]).packets == [EngineIOPacket(binary: [])])
    }

    @Test func `random bytes never trap`() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("0123456b=A/+\u{1E}\u{1E}\u{FF}".utf8)
        for _ in 0..<5000 {
            let length = Int.random(in: 0...40, using: &generator)
            let body = (0..<length).map { _ in
                Bool.random(using: &generator)
                    ? alphabet.randomElement(using: &generator) ?? 0 : UInt8.random(in: 0...255, using: &generator)
            }
            _ = Self.decode(body)
            _ = EngineIOPayload.jsonpBody(body[...])
            _ = EngineIOPayload.jsonpBody(Array("d=".utf8) + body[...])
        }
    }

    @Test(arguments: [
        ("d=4", "4"), ("d=", ""), ("d=40%1E41", "40\u{1E}41"), ("d=42[\"a+b\"]", "42[\"a b\"]"),
        (#"d=4a\nb"#, "4a\nb"), (#"d=4a\\nb"#, #"4a\nb"#), (#"d=4a\\b"#, #"4a\\b"#), (#"d=4a\"#, #"4a\"#),
        (#"d=4a\b"#, #"4a\b"#), ("d=%5Cn", "\n"), ("d=d=4", "d=4"),
    ])
    func `a JSONP form gives its payload, line feeds restored`(body: String, payload: String) {
        #expect(EngineIOPayload.jsonpBody(Array(body.utf8)[...]) == Array(payload.utf8))
    }

    @Test(arguments: ["", "d", "4", "e=4", "42[\"d=\"]"])
    func `another body is no JSONP form`(body: String) {
        #expect(EngineIOPayload.jsonpBody(Array(body.utf8)[...]) == nil)
    }
}
