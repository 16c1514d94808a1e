import Bytes
import Testing

@testable import SocketIOProtocol

@Suite struct SocketIOPacketTests {
    private static func parse(_ text: String) -> Result<SocketIOPacket, SocketIOError> {
        Result { () throws(SocketIOError) in try SocketIOPacket(Array(text.utf8)[...]) }
    }

    struct Row: CustomTestStringConvertible, Sendable {
        var text: String
        var type: SocketIOPacketType
        var attachments = 0
        var namespace: ByteString = "/"
        var ackID: Int?
        var json = ""
        var testDescription: String { text }
    }

    private static let valid: [Row] = [
        Row(text: "0", type: .connect),
        Row(text: #"0{"token":1}"#, type: .connect, json: #"{"token":1}"#),
        Row(text: "0/admin,", type: .connect, namespace: "/admin"),
        Row(text: "0/admin", type: .connect, namespace: "/admin"),
        Row(text: "0/,", type: .connect),
        Row(text: #"0/admin?token=1&uid=2,{"a":1}"#, type: .connect, namespace: "/admin", json: #"{"a":1}"#),
        Row(text: "0/admin?x", type: .connect, namespace: "/admin"),
        Row(text: "1", type: .disconnect),
        Row(text: "1/admin,", type: .disconnect, namespace: "/admin"),
        Row(text: "1/admin", type: .disconnect, namespace: "/admin"),
        Row(text: #"2["a"]"#, type: .event, json: #"["a"]"#),
        Row(text: #"2 ["a"]"#, type: .event, json: #" ["a"]"#),
        Row(text: #"212["a"]"#, type: .event, ackID: 12, json: #"["a"]"#),
        Row(text: #"2/admin,456["a",{}]"#, type: .event, namespace: "/admin", ackID: 456, json: #"["a",{}]"#),
        Row(text: #"29007199254740991["a"]"#, type: .event, ackID: 9_007_199_254_740_991, json: #"["a"]"#),
        Row(text: #"2000["a"]"#, type: .event, ackID: 0, json: #"["a"]"#),
        Row(text: "30[]", type: .ack, ackID: 0, json: "[]"),
        Row(text: "3/a,7[1]", type: .ack, namespace: "/a", ackID: 7, json: "[1]"),
        Row(text: #"51-["a"]"#, type: .binaryEvent, attachments: 1, json: #"["a"]"#),
        Row(text: #"50-["a"]"#, type: .binaryEvent, json: #"["a"]"#),
        Row(text: #"5256-/a,9["a"]"#, type: .binaryEvent, attachments: 256, namespace: "/a", ackID: 9, json: #"["a"]"#),
        Row(text: "62-3[]", type: .binaryAck, attachments: 2, ackID: 3, json: "[]"),
    ]

    @Test(arguments: valid)
    func `a packet is read into its parts`(row: Row) throws {
        let packet = try Self.parse(row.text).get()
        #expect(packet.type == row.type)
        #expect(packet.attachmentCount == row.attachments)
        #expect(packet.namespace == row.namespace)
        #expect(packet.ackID == row.ackID)
        #expect(String(decoding: packet.json, as: UTF8.self) == row.json)
    }

    @Test(
        arguments: [
            ("", .unknownType), ("7", .unknownType), ("x", .unknownType), (" 0", .unknownType), ("-1", .unknownType),
            ("0[]", .payload), (#"0"x""#, .payload), ("0x", .payload), ("0/a,[]", .payload),
            ("1{}", .payload), ("1/a,x", .payload),
            ("2", .payload), ("2{}", .payload), ("2null", .payload), ("2x[]", .payload), (#"2-1["a"]"#, .payload),
            (#"29007199254740992["a"]"#, .ackID), (#"299999999999999999999["a"]"#, .ackID), ("3[]", .payload),
            ("31", .payload), ("31{}", .payload),
            ("4", .payload),
            ("4{}", .payload), ("5", .attachmentCount), (#"5["a"]"#, .attachmentCount), (#"5-["a"]"#, .attachmentCount),
            ("51", .attachmentCount), (#"51["a"]"#, .attachmentCount), (#"5257-["a"]"#, .tooManyAttachments),
            (#"59999999999-["a"]"#, .tooManyAttachments), (#"59007199254740992-["a"]"#, .attachmentCount),
            ("51-", .payload), ("51-{}", .payload), ("61-[]", .payload), ("6", .attachmentCount),
        ] as [(String, SocketIOError)])
    func `a wrong packet is refused`(text: String, error: SocketIOError) {
        #expect(Self.parse(text) == .failure(error))
    }

    @Test(arguments: valid)
    func `a packet cut at any byte is refused or another valid packet`(row: Row) {
        let bytes = Array(row.text.utf8)
        for end in 0..<bytes.count {
            guard let packet = try? SocketIOPacket(bytes[..<end]) else { continue }
            #expect(packet.json.count <= row.json.utf8.count)
            #expect(packet.attachmentCount <= SocketIOPacket.maximumAttachments)
        }
    }

    @Test func `names that differ in bytes only are different`() throws {
        let composed = try Self.parse("0/\u{E9},").get()
        let decomposed = try Self.parse("0/e\u{301},").get()
        #expect(composed.namespace != decomposed.namespace)
    }

    @Test func `random bytes never trap`() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("0123456-/,?[]{}\"a \u{FF}".utf8)
        for _ in 0..<20_000 {
            let length = Int.random(in: 0...24, using: &generator)
            let bytes = (0..<length).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            _ = try? SocketIOPacket(bytes[...])
            _ = try? SocketIOPacket(([0xFF] + bytes)[1...])
        }
    }

    @Test(arguments: [
        SocketIOError.unknownType, .attachmentCount, .tooManyAttachments, .ackID, .payload, .unexpectedBinary,
        .missingAttachments, .json,
    ])
    func `an error reads as one line`(error: SocketIOError) {
        #expect(!error.description.isEmpty && !error.description.contains("\n"))
    }
}
