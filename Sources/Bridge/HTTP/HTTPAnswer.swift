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

    /// What the answer says about the connection; HTTP/1.1 implies that it stays open.
    enum Persistence { case implied, keepAlive, close }

    /// Writes the response as it goes out (RFC 9112, section 4).
    func write(_ persistence: Persistence, includingBody: Bool, to bytes: inout ByteBuffer) {
        bytes.reserveCapacity(minimumWritableBytes: 320 + (includingBody ? body.readableBytes : 0))
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
        switch persistence {
        case .implied: bytes.writeStaticString("\r\n")
        case .keepAlive: bytes.writeStaticString("Connection: keep-alive\r\n\r\n")
        case .close: bytes.writeStaticString("Connection: close\r\n\r\n")
        }
        if includingBody { bytes.writeImmutableBuffer(body) }
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
