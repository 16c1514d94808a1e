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
