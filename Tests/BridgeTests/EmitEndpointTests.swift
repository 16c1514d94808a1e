import NIOCore
import NIOHTTP1
import Testing

@testable import Bridge

@Suite struct EmitEndpointTests {
    private static let endpoint = EmitEndpoint(secret: Array("123".utf8), hostID: "h")

    private static func status(_ body: String, contentType: String? = "application/json") -> (UInt, String) {
        switch endpoint.request(contentType: contentType, body: ByteBuffer(string: body)) {
        case .success(let request): (200, String(decoding: request.payload, as: UTF8.self))
        case .failure(let answer): (answer.status.code, String(buffer: answer.body))
        }
    }

    @Test(arguments: [
        "application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json",
        " application/json ",
    ])
    func `JSON by any name is read`(contentType: String) {
        #expect(Self.status(#"{"secret":"123","event":"a"}"#, contentType: contentType).0 == 200)
    }

    @Test(arguments: [nil, "", "text/plain", "text/json", "application/x-www-form-urlencoded", "json", "x/y+json"])
    func `another type is refused first`(contentType: String?) {
        #expect(Self.status("nonsense", contentType: contentType).0 == 415)
    }

    @Test(arguments: ["", "{", "nope", "{'a':1}", "{\"a\":1}x"])
    func `what is no JSON is refused before the secret is looked at, in JSON`(body: String) {
        let answer = Self.status(body)
        #expect(answer.0 == 400 && answer.1.hasPrefix(#"{"error":"The body can't be read: JSON: byte "#), "\(answer)")
    }

    @Test(arguments: ["null", "[]", "5", "\"123\"", "true"])
    func `another value than an object is refused`(body: String) {
        #expect(Self.status(body).0 == 400)
    }

    @Test(arguments: [
        "{}", #"{"secret":null}"#, #"{"secret":123}"#, #"{"secret":""}"#, #"{"secret":"123 "}"#, #"{"secret":["123"]}"#,
        #"{"secret":"1234"}"#, #"{"secret":"12"}"#, #"{"Secret":"123"}"#, #"{"secret":"123","secret":"x"}"#,
    ])
    func `a wrong secret is refused and not echoed`(body: String) {
        let answer = Self.status(body)
        #expect(answer.0 == 403 && answer.1 == "Incorrect secret\n")
    }

    @Test func `the published message has no secret`() {
        let message = Self.status(#"{"secret":"123","event":"a","data":{"secret":1},"room":"r"}"#)
        #expect(message.0 == 200)
        #expect(message.1.contains(#""event":"a""#) && !message.1.contains("123"))
    }

    /// Where the message goes, or the sentence that refuses it.
    private static func room(_ keys: String) -> String {
        let answer = status(#"{"secret":"123","event":"e",\#(keys)}"#)
        guard answer.0 == 200 else { return "\(answer.0) \(answer.1)" }
        let start = answer.1.firstRange(of: #""room":"#)?.upperBound ?? answer.1.endIndex
        let end = answer.1.firstRange(of: #","skip_sid":"#)?.lowerBound ?? answer.1.endIndex
        return String(answer.1[start..<end])
    }

    @Test(arguments: [
        (#""room":"a""#, #""a""#), (#""to":"a""#, #""a""#), (#""to":["a","b"]"#, #"["a","b"]"#),
        (#""to":"\u00e9""#, ##""\u00e9""##), (#""room":"a","to":"a""#, #""a""#), (#""room":["a"],"to":"a""#, #""a""#),
        (#""room":null,"to":"a""#, #""a""#), (#""room":"a","to":null"#, #""a""#), (#""room":"","to":"a""#, #""a""#),
        (#""room":null"#, "null"), (#""to":"","room":null"#, "null"), (#""report":false"#, "null"),
        (#""to":null"#, "null"),
        (#""namespace":null"#, "null"),
    ])
    func `to is room`(keys: String, room: String) {
        #expect(Self.room(keys) == room)
    }

    @Test(arguments: [
        (#""room":7"#, "room"), (#""room":true"#, "room"), (#""room":false"#, "room"), (#""room":0"#, "room"),
        (#""room":{}"#, "room"), (#""room":{"a":1}"#, "room"), (#""room":[]"#, "room"), (#""room":["a",1]"#, "room"),
        (#""room":["a",null]"#, "room"), (#""room":[["a"]]"#, "room"), (#""to":7"#, "to"), (#""to":[]"#, "to"),
        (#""to":false"#, "to"), (#""room":7,"to":"a""#, "room"), (#""room":"a","to":"b""#, "room and to"),
        (#""room":["a","b"],"to":"a""#, "room and to"), (#""report":"yes""#, "report"), (#""report":1"#, "report"),
        (#""report":null"#, "report"), (#""report":"true""#, "report"), (#""namespace":5"#, "namespace"),
        (#""namespace":false"#, "namespace"), (#""namespace":["/"]"#, "namespace"), (#""rooms":"a""#, "'rooms'"),
        (#""Room":"a""#, "'Room'"), (#""skip_sid":null"#, "'skip_sid'"), (#""":1"#, "''"),
        (#""r\noom":null"#, "'r\\\\noom'"),
        (#""event":null"#, "event"), (#""event":5"#, "event"), (#""event":["a"]"#, "event"),
        (#""event":true"#, "event"),
    ])
    func `a key that is unknown or of another type is refused by its name, in JSON`(keys: String, name: String) {
        let answer = Self.room(keys)
        #expect(answer.hasPrefix(#"400 {"error":""#) && answer.hasSuffix("\"}\n") && answer.contains(name), "\(answer)")
        #expect(Self.status(#"{"secret":"no","event":"e",\#(keys)}"#).0 == 403)
    }

    @Test(arguments: [
        (#""keep":true,"room":"r""#, #","keep":true"#), (#""room":"r","keep":false"#, #","keep":false"#),
        (#""keep":false"#, #","keep":false"#), (#""to":["r"],"keep":0.5,"key":"a""#, #","keep":0.5,"key":"a""#),
        (#""room":"r","keep":300,"key":"\u00e9""#, ##","keep":300,"key":"\u00e9""##), (#""key":"a""#, #","key":"a""#),
        (#""keep":null,"key":null"#, ""), (#""key":"""#, ""),
    ])
    func `keep and key are published as they are`(keys: String, published: String) {
        let answer = Self.room(keys)
        #expect(published.isEmpty ? !answer.contains("ke") : answer.hasSuffix(published), "\(answer)")
    }

    @Test(arguments: [
        (#""room":"r","keep":0"#, "keep must be true, false, or a number of seconds above 0."),
        (#""room":"r","keep":-1"#, "keep must be true"), (#""room":"r","keep":"300""#, "keep must be true"),
        (#""room":"r","keep":[true]"#, "keep must be true"), (#""room":"r","keep":1e999"#, "keep must be true"),
        (#""room":"r","keep":NaN"#, "keep must be true"),
        (#""keep":true"#, "keep needs a room: a message for everybody can't"),
        (#""room":null,"keep":300"#, "keep needs a room"), (#""room":"","to":null,"keep":300"#, "keep needs a room"),
        (#""room":"r","key":5"#, "key must be a text of at most 1024 bytes."),
        (#""room":"r","key":["a"]"#, "key must be a text"),
        (#""room":"r","key":"\#(String(repeating: "x", count: 1025))""#, "key must be a text"),
    ])
    func `a keep or key that means nothing is refused in one sentence`(keys: String, sentence: String) {
        let answer = Self.room(keys)
        #expect(answer.hasPrefix(#"400 {"error":""# + sentence), "\(answer)")
    }

    @Test func `an emit has an event`() {
        let answer = Self.status(#"{"secret":"123"}"#)
        #expect(answer.0 == 400 && answer.1.contains("event is missing"))
        #expect(Self.status(#"{"secret":"123","event":""}"#).0 == 200)
    }
}
