import JSONCodec
import NIOCore
import NIOHTTP1
import PubSubMessages

/// `POST /emit`: checks of the original, in its order: content type, JSON, secret.
struct EmitEndpoint: Sendable {
    let secret: [UInt8]
    let hostID: ByteString

    struct Request: Sendable {
        let emit: PublishedEmit
        /// `"report": true`.
        var wantsReport = false
    }

    /// What to publish, or the answer that refuses the request.
    func request(contentType: String?, body: ByteBuffer) -> Result<Request, HTTPAnswer> {
        guard Self.isJSON(contentType) else {
            return .failure(.errorPage(.unsupportedMediaType, "Send the message with Content-Type: application/json."))
        }
        return body.withUnsafeReadableBytes { buffer in
            let isSecret = { (given: UnsafeRawBufferPointer) in ConstantTime.areEqual(given, secret) }
            if let emit = PublishedEmit(body: buffer, hostID: hostID, isSecret: isSecret) {
                return .success(Request(emit: emit))
            }
            var document = JSONDocument()
            do {
                try document.parse(buffer)
            } catch {
                return .failure(.errorPage(.badRequest, "The body is not JSON: \(HTMLText.escaped("\(error)"))."))
            }
            guard document.kind(of: document.root) == .object else {
                return .failure(.errorPage(.badRequest, "The body must be a JSON object."))
            }
            let given = document.value(forKey: "secret", in: document.root).flatMap { document.byteString($0) }
            guard let given, ConstantTime.areEqual(given.bytes, secret) else {
                return .failure(HTTPAnswer(.forbidden, contentType: HTTPAnswer.html, text: "Incorrect secret\n"))
            }
            let report = document.value(forKey: "report", in: document.root).flatMap { document.bool($0) }
            let payload = PubSubMessageEncoder.emit(document, hostID: hostID)
            return .success(Request(emit: PublishedEmit(payload: payload), wantsReport: report ?? false))
        }
    }

    /// `application/json` and `application/*+json`, with any parameters.
    private static func isJSON(_ contentType: String?) -> Bool {
        guard let contentType else { return false }
        if contentType == "application/json" { return true }
        let type = contentType.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
        return type == "application/json" || (type.hasPrefix("application/") && type.hasSuffix("+json"))
    }
}

extension HTTPAnswer: Error {}

/// Text inside an HTML page.
enum HTMLText {
    static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "&": result += "&amp;"
            default: result.append(character)
            }
        }
    }
}
