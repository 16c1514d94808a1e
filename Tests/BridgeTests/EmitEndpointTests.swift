import NIOCore
import NIOHTTP1
import Testing

@testable import Bridge

@Suite struct EmitEndpointTests {
    private static let endpoint = EmitEndpoint(secret: Array("123".utf8), hostID: "h")

    private static func status(_ body: String, contentType: String? = "application/json") -> (UInt, String) {
        switch endpoint.request(contentType: contentType, body: ByteBuffer(string: body)) {
        case .success(let request): (200, String(decoding: request.emit.payload, as: UTF8.self))
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
    func `what is no JSON is refused before the secret is looked at`(body: String) {
        #expect(Self.status(body).0 == 400)
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

    @Test func `what a page shows can't be markup`() {
        #expect(HTMLText.escaped("<script>&") == "&lt;script&gt;&amp;")
    }
}
