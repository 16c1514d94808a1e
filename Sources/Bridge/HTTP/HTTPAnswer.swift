import NIOCore
import NIOHTTP1

/// A whole HTTP response, made on the loop that owns the session and written on the connection's.
struct HTTPAnswer: Sendable {
    var status: HTTPResponseStatus
    var contentType: String
    var body: ByteBuffer
    var headers: [(name: String, value: String)] = []
    /// Close the connection after it, because the request's body was not read to its end.
    var closesConnection = false
    private var usualBytes: ByteBuffer?

    static let plainText = "text/plain; charset=UTF-8"
    static let html = "text/html; charset=utf-8"

    init(_ status: HTTPResponseStatus, contentType: String, body: ByteBuffer) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    init(_ status: HTTPResponseStatus, contentType: String = HTTPAnswer.plainText, text: String) {
        self.init(status, contentType: contentType, body: ByteBuffer(string: text))
    }

    /// What a request decides about the form of its answer.
    struct Form: Equatable {
        /// What the answer says about the connection; HTTP/1.1 implies that it stays open.
        enum Persistence { case implied, keepAlive, close }

        var persistence = Persistence.implied
        var includesBody = true

        /// Of most requests.
        static let usual = Form()

        private init() {}

        init(of request: HTTPRequestHead) {
            persistence = !request.isKeepAlive ? .close : request.version == .http1_1 ? .implied : .keepAlive
            includesBody = request.method != .HEAD
        }
    }

    /// The same answer, whose bytes in the usual form are made once.
    func prepared() -> HTTPAnswer {
        var answer = self
        answer.usualBytes = bytes(.usual)
        return answer
    }

    /// The response as it goes out.
    func bytes(_ form: Form) -> ByteBuffer {
        if form == .usual, let usualBytes { return usualBytes }
        var bytes = ByteBuffer()
        write(form, to: &bytes)
        return bytes
    }

    /// Writes the response as it goes out (RFC 9112, section 4).
    func write(_ form: Form, to bytes: inout ByteBuffer) {
        if form == .usual, var usualBytes {
            bytes.writeBuffer(&usualBytes)
            return
        }
        bytes.reserveCapacity(minimumWritableBytes: 320 + (form.includesBody ? body.readableBytes : 0))
        bytes.writeStaticString("HTTP/1.1 ")
        bytes.writeString(String(status.code))
        bytes.writeStaticString(" ")
        bytes.writeString(status.reasonPhrase)
        bytes.writeStaticString("\r\nContent-Type: ")
        bytes.writeString(contentType)
        bytes.writeStaticString("\r\nContent-Length: ")
        bytes.writeString(String(body.readableBytes))
        bytes.writeStaticString("\r\n")
        for header in headers {
            bytes.writeString(header.name)
            bytes.writeStaticString(": ")
            bytes.writeString(header.value)
            bytes.writeStaticString("\r\n")
        }
        switch form.persistence {
        case .implied: bytes.writeStaticString("\r\n")
        case .keepAlive: bytes.writeStaticString("Connection: keep-alive\r\n\r\n")
        case .close: bytes.writeStaticString("Connection: close\r\n\r\n")
        }
        if form.includesBody { bytes.writeImmutableBuffer(body) }
    }

    /// The answer to a request of a program, which spoke JSON itself: `{"error":"…"}`.
    static func jsonError(_ status: HTTPResponseStatus, _ sentence: String) -> HTTPAnswer {
        HTTPAnswer(status, contentType: "application/json", text: JSONValue.object([("error", .text(sentence))]).line)
    }

    /// An error page of the shape that Flask's have.
    static func errorPage(_ status: HTTPResponseStatus, _ sentence: String) -> HTTPAnswer {
        let page = """
            <!doctype html>
            <html lang=en>
            <title>\(status.code) \(status.reasonPhrase)</title>
            <h1>\(status.reasonPhrase)</h1>
            <p>\(sentence)</p>

            """
        return HTTPAnswer(status, contentType: html, text: page)
    }
}
