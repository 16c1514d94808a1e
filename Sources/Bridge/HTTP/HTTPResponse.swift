import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// A whole HTTP response, made on the loop that owns the session and written on the connection's.
struct HTTPResponse: Sendable {
    let status: HTTPResponseStatus
    let body: ByteBuffer
    /// The status line and the headers as they go out, but for the Connection header. A constant response has them written once.
    private var head = ByteBuffer()
    /// The connection closes after it, because the request's body was not read to its end.
    var closesConnection = false

    static let plainText = "text/plain; charset=UTF-8"
    static let html = "text/html; charset=utf-8"

    init(_ status: HTTPResponseStatus, contentType: String, body: ByteBuffer) {
        self.status = status
        self.body = body
        head.reserveCapacity(320)
        head.writeStaticString("HTTP/1.1 ")
        head.writeString(String(status.code))
        head.writeStaticString(" ")
        head.writeString(status.reasonPhrase)
        head.writeStaticString("\r\n")
        add("Content-Type", contentType)
        add("Content-Length", String(body.readableBytes))
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
            // `==` would compare the methods' names.
            if case .HEAD = request.method { includesBody = false }
        }
    }

    /// Writes the bytes that go out (RFC 9112, section 4).
    func write(_ framing: Framing, to bytes: inout ByteBuffer) {
        bytes.reserveCapacity(
            minimumWritableBytes: head.readableBytes + 32 + (framing.includesBody ? body.readableBytes : 0))
        bytes.writeImmutableBuffer(head)
        switch framing.persistence {
        case .implied: bytes.writeStaticString("\r\n")
        case .keepAlive: bytes.writeStaticString("Connection: keep-alive\r\n\r\n")
        case .close: bytes.writeStaticString("Connection: close\r\n\r\n")
        }
        if framing.includesBody { bytes.writeImmutableBuffer(body) }
    }

    mutating func add(_ name: String, _ value: String) {
        head.writeString(name)
        head.writeStaticString(": ")
        head.writeString(value)
        head.writeStaticString("\r\n")
    }

    func adding(_ headers: [(name: String, value: String)]) -> HTTPResponse {
        var response = self
        for header in headers { response.add(header.name, header.value) }
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
