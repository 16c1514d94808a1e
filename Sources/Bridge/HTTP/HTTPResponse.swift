import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// A whole HTTP response, made on the loop that owns the session and written on the connection's.
struct HTTPResponse: Sendable {
    var status: HTTPResponseStatus
    var contentType: String
    var body: ByteBuffer
    var headers: [(name: String, value: String)] = []
    /// The connection closes after it, because the request's body was not read to its end.
    var closesConnection = false

    static let plainText = "text/plain; charset=UTF-8"
    static let html = "text/html; charset=utf-8"

    init(_ status: HTTPResponseStatus, contentType: String, body: ByteBuffer) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    init(_ status: HTTPResponseStatus, contentType: String = HTTPResponse.plainText, text: String) {
        self.init(status, contentType: contentType, body: ByteBuffer(string: text))
    }

    /// The framing of a response, which depends on its request.
    struct Framing: Equatable {
        /// The Connection header of the response; HTTP/1.1 implies that it stays open.
        enum Persistence { case implied, keepAlive, close }

        var persistence = Persistence.implied
        var includesBody = true

        init() {}

        init(of request: HTTPRequestHead) {
            persistence = !request.isKeepAlive ? .close : request.version == .http1_1 ? .implied : .keepAlive
            includesBody = request.method != .HEAD
        }
    }

    /// Writes the bytes that go out (RFC 9112, section 4).
    func write(_ framing: Framing, to bytes: inout ByteBuffer) {
        bytes.reserveCapacity(minimumWritableBytes: 320 + (framing.includesBody ? body.readableBytes : 0))
        bytes.writeStaticString("HTTP/1.1 ")
        bytes.writeString(String(status.code))
        bytes.writeStaticString(" ")
        bytes.writeString(status.reasonPhrase)
        bytes.writeStaticString("\r\n")
        func add(_ name: String, _ value: String) {
            bytes.writeString(name)
            bytes.writeStaticString(": ")
            bytes.writeString(value)
            bytes.writeStaticString("\r\n")
        }
        add("Content-Type", contentType)
        add("Content-Length", String(body.readableBytes))
        for header in headers { add(header.name, header.value) }
        switch framing.persistence {
        case .implied: break
        case .keepAlive: add("Connection", "keep-alive")
        case .close: add("Connection", "close")
        }
        bytes.writeStaticString("\r\n")
        if framing.includesBody { bytes.writeImmutableBuffer(body) }
    }

    func adding(_ headers: [(name: String, value: String)]) -> HTTPResponse {
        var response = self
        response.headers += headers
        return response
    }

    /// The response to a request that can't be read, and the last one on its connection.
    static let brokenRequest: HTTPResponse = {
        var response = errorPage(.badRequest, notHTTP + ".")
        response.closesConnection = true
        return response
    }()

    static let notHTTP = "The request is not valid HTTP"

    /// The response to a program that sent JSON itself: `{"error":"…"}`.
    static func jsonError(_ status: HTTPResponseStatus, _ sentence: String) -> HTTPResponse {
        HTTPResponse(status, contentType: "application/json", text: JSONValue.object([("error", .text(sentence))]).line)
    }

    /// 400 with the refusal as a JSON string.
    init(_ refusal: EngineIORefusal) {
        self.init(.badRequest, contentType: "text/plain", body: ByteBuffer(bytes: refusal.body))
    }

    /// An error page in the format of Flask's.
    static func errorPage(_ status: HTTPResponseStatus, _ sentence: String) -> HTTPResponse {
        let page = """
            <!doctype html>
            <html lang=en>
            <title>\(status.code) \(status.reasonPhrase)</title>
            <h1>\(status.reasonPhrase)</h1>
            <p>\(sentence)</p>

            """
        return HTTPResponse(status, contentType: html, text: page)
    }
}
