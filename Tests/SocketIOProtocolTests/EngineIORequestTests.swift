import Bytes
import Testing

@testable import SocketIOProtocol

@Suite struct EngineIORequestTests {
    typealias Refusal = EngineIORefusal

    private static func parse(
        _ query: String, method: EngineIORequest.Method = .get, upgrade: Bool = false
    ) -> Result<EngineIORequest, Refusal> {
        Result { () throws(Refusal) in
            try EngineIORequest(method: method, query: query.utf8, isWebSocketUpgrade: upgrade)
        }
    }

    @Test(arguments: [
        "EIO=4&transport=polling", "EIO=4", "transport=polling&EIO=4&t=abc", "EIO=4&transport=&sid=&j=", "%45IO=%34",
    ])
    func `a handshake by polling`(query: String) throws {
        let request = try Self.parse(query).get()
        #expect(request.transport == .polling && request.sid == nil && request.jsonpIndex == nil)
    }

    @Test func `a handshake by websocket`() throws {
        #expect(try Self.parse("EIO=4&transport=websocket", upgrade: true).get().transport == .websocket)
    }

    @Test func `a request of a session, which needs no version`() throws {
        let request = try Self.parse("transport=polling&sid=a%20b", method: .post).get()
        #expect(request.sid == "a b")
    }

    @Test(arguments: [("0", 0), ("12", 12), ("007", 7)])
    func `a JSONP index`(text: String, index: Int) throws {
        #expect(try Self.parse("EIO=4&j=\(text)").get().jsonpIndex == index)
    }

    @Test(
        arguments: [
            ("", .get, .unsupportedVersion), ("transport=polling", .get, .unsupportedVersion),
            ("EIO=3&transport=polling", .get, .unsupportedVersion), ("EIO=5", .get, .unsupportedVersion),
            ("EIO=04", .get, .unsupportedVersion), ("EIO=abc", .get, .unsupportedVersion),
            ("EIO=4&transport=foo", .get, .invalidTransport), ("transport=foo", .get, .invalidTransport),
            ("EIO=4&transport=Polling", .get, .invalidTransport),
            ("EIO=4&transport=websocket", .get, .invalidWebSocketUpgrade),
            ("transport=websocket&sid=a", .get, .invalidWebSocketUpgrade),
            ("EIO=4&j=x", .get, .invalidJSONPIndex), ("EIO=4&j=-1", .get, .invalidJSONPIndex),
            ("EIO=4&j=99999999999999999999", .get, .invalidJSONPIndex), ("EIO=4&j=%FF", .get, .invalidJSONPIndex),
            ("EIO=4&transport=polling", .post, .invalidSession(nil)),
        ] as [(String, EngineIORequest.Method, Refusal)])
    func `a wrong query is refused`(query: String, method: EngineIORequest.Method, refusal: Refusal) {
        #expect(Self.parse(query, method: method) == .failure(refusal))
    }

    @Test(
        arguments: [
            (
                .unsupportedVersion,
                #""The client is using an unsupported version of the Socket.IO or Engine.IO protocols""#
            ),
            (.invalidTransport, #""Invalid transport""#), (.invalidWebSocketUpgrade, #""Invalid websocket upgrade""#),
            (.invalidJSONPIndex, #""Invalid JSONP index number""#), (.invalidSession(nil), #""Invalid session None""#),
            (.invalidSession("nope"), #""Invalid session nope""#),
            (.invalidSession("a\"<\u{E9}"), #""Invalid session a\"<\u00e9""#),
            (.unexpectedRequest, #""Unexpected HTTP request""#), (.originNotAccepted, #""Not an accepted origin.""#),
        ] as [(Refusal, String)])
    func `the refusal's text is python-engineio's, as a JSON string`(refusal: Refusal, body: String) {
        #expect(String(decoding: refusal.body, as: UTF8.self) == body)
    }

    @Test func `a long sid is not echoed whole`() {
        let sid = ByteString(String(repeating: "a", count: 10_000))
        #expect(Refusal.invalidSession(sid).body.count < 200)
    }
}
