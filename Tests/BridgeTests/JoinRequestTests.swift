import Bytes
import JSONCodec
import Testing

@testable import Bridge

@Suite struct JoinRequestTests {
    private static func parse(_ json: String, maxNameBytes: Int = 10) throws -> Result<JoinRequest, JoinRequest.Refusal>
    {
        var document = JSONDocument()
        let bytes = Array(json.utf8)
        return try bytes.withUnsafeBytes { buffer in
            try document.parse(buffer)
            return Result { () throws(JoinRequest.Refusal) in
                try JoinRequest(arguments: document, maxNameBytes: maxNameBytes)
            }
        }
    }

    @Test(
        arguments: [
            (#"{"room":"a"}"#, "a", nil), (#"{"room":""}"#, "", nil), (#"{"room":"a","secret":"s"}"#, "a", "s"),
            (#"{"secret":"","room":"a","more":1}"#, "a", ""), (#"{"room":"a","secret":5}"#, "a", nil),
            (#"{"room":"a","secret":null}"#, "a", nil), (#"{"room":"a","room":"b"}"#, "b", nil),
            (#"{"room":"0123456789"}"#, "0123456789", nil), (#"{"room":"\u00e9"}"#, "\u{E9}", nil),
        ] as [(String, ByteString, ByteString?)])
    func `one object with a room is a request`(argument: String, room: ByteString, secret: ByteString?) throws {
        let request = try Self.parse("[\"join\",\(argument)]").get()
        #expect(request.room == room && request.secret == secret)
    }

    @Test(
        arguments: [
            (#"["join"]"#, .arguments), (#"["join",null]"#, .arguments), (#"["join","a"]"#, .arguments),
            (#"["join",["room"]]"#, .arguments), (#"["join",{}]"#, .arguments),
            (#"["join",{"secret":"a"}]"#, .arguments),
            (#"["join",{"room":"a"},1]"#, .arguments), (#"["join",{"room":5}]"#, .room),
            (#"["join",{"room":null}]"#, .room),
            (#"["join",{"room":["a"]}]"#, .room), (#"["join",{"room":true}]"#, .room),
            (#"["join",{"room":{"_placeholder":true,"num":0}}]"#, .room),
            (#"["join",{"room":"01234567890"}]"#, .roomTooLong),
        ] as [(String, JoinRequest.Refusal)])
    func `anything else is refused with its reason`(json: String, refusal: JoinRequest.Refusal) throws {
        #expect(try Self.parse(json) == .failure(refusal))
    }

    @Test(
        arguments: [
            ("a", nil), ("", nil), ("a:b", nil), ("a:", nil), (":", nil), ("::", ""), ("::q", ""), ("dir::x", "dir"),
            ("dir::a::b", "dir"), ("dir::", "dir"), ("dir:::q", "dir"), (":a::b", ":a"),
        ] as [(String, ByteString?)])
    func `the room-space is what stands before the first double colon`(room: String, space: ByteString?) throws {
        #expect(try Self.parse("[\"join\",{\"room\":\"\(room)\"}]").get().roomSpace == space)
    }

    @Test func `both keys of a room-space are asked, the documented one first`() {
        #expect(
            RoomSecretKey.keys(of: "dir").map { String(decoding: $0, as: UTF8.self) }
                == ["ws-emit::room_secret::dir", "ws-emit::secret::dir"])
    }

    @Test(arguments: [
        ("", "", true), ("a", "a", true), ("a", "b", false), ("a", "ab", false), ("é", "é", true),
        ("abc", "abd", false),
    ])
    func `secrets are equal byte by byte`(left: String, right: String, areEqual: Bool) {
        #expect(ConstantTime.areEqual(Array(left.utf8), Array(right.utf8)) == areEqual)
    }
}
