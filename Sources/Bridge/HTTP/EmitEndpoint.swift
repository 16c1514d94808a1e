import Bytes
import JSONCodec
import NIOCore
import NIOHTTP1
import PubSubMessages

/// `POST /emit`: checks of the original, in its order: content type, JSON, secret.
struct EmitEndpoint: Sendable {
    let secret: [UInt8]
    let hostID: ByteString

    struct Request: Sendable {
        /// The message as it is published.
        let payload: [UInt8]
        /// `"report": true`.
        var wantsReport = false
    }

    /// The message to publish, or the response that refuses the request.
    func request(contentType: String?, body: ByteBuffer) -> Result<Request, HTTPResponse> {
        guard Self.isJSON(contentType) else {
            return .failure(.errorPage(.unsupportedMediaType, "Send the message with Content-Type: application/json."))
        }
        return unsafe body.withUnsafeReadableBytes { buffer in
            var document = JSONDocument()
            do {
                try unsafe document.parse(buffer)
            } catch {
                return .failure(.jsonError(.badRequest, "The body can't be read: \(error)."))
            }
            guard document.kind(of: document.root) == .object else {
                return .failure(.jsonError(.badRequest, "The body must be a JSON object."))
            }
            let given = document.value(forKey: "secret", in: document.root).flatMap { document.byteString($0) }
            guard let given, ConstantTime.areEqual(given.bytes, secret) else {
                // The text of the original; callers may look for it.
                return .failure(HTTPResponse(.forbidden, contentType: HTTPResponse.html, text: "Incorrect secret\n"))
            }
            do throws(EmitFields.Refusal) {
                let fields = try EmitFields(document)
                let payload = PubSubMessageEncoder.emit(
                    document, room: fields.room, keep: fields.keep, key: fields.key, hostID: hostID)
                return .success(Request(payload: payload, wantsReport: fields.wantsReport))
            } catch {
                return .failure(.jsonError(.badRequest, error.sentence))
            }
        }
    }

    /// `application/json` and `application/*+json`, with any parameters.
    static func isJSON(_ contentType: String?) -> Bool {
        guard let contentType else { return false }
        if contentType == "application/json" { return true }
        let type = contentType.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
        return type == "application/json" || (type.hasPrefix("application/") && type.hasSuffix("+json"))
    }
}

extension HTTPResponse: Error {}

/// The keys of a `POST /emit`. Each must be known and have the right type: a mistake must not send a room's message to
/// everybody.
private struct EmitFields {
    struct Refusal: Error { let sentence: String }

    /// A text or a list of texts; nil for everybody.
    private(set) var room: JSONDocument.Node?
    /// True, false or a number of seconds; nil for null.
    private(set) var keep: JSONDocument.Node?
    /// A text; nil for null.
    private(set) var key: JSONDocument.Node?
    private(set) var wantsReport = false

    init(_ document: borrowing JSONDocument) throws(Refusal) {
        var hasEvent = false
        // Flask-SocketIO calls the room `to`, and called it `room` before.
        var to: JSONDocument.Node?
        var asksToBeKept = false
        for (key, value) in document.members(of: document.root) {
            let kind = document.kind(of: value)
            if document.isString(key, equalTo: "event") {
                guard kind == .string else { throw Refusal(sentence: "event must be a text.") }
                hasEvent = true
            } else if document.isString(key, equalTo: "room") {
                room = try Self.room(value, "room", document)
            } else if document.isString(key, equalTo: "to") {
                to = try Self.room(value, "to", document)
            } else if document.isString(key, equalTo: "namespace") {
                guard kind == .string || kind == .null else {
                    throw Refusal(sentence: "namespace must be a text, or null for /.")
                }
            } else if document.isString(key, equalTo: "keep") {
                let request: KeepRequest?
                do throws(SenderMistake) { request = try document.readKeep(value) } catch {
                    throw Refusal(sentence: "keep must be true, false, or a number of seconds above 0.")
                }
                keep = request == nil ? nil : value
                asksToBeKept = request != nil && request != .no
            } else if document.isString(key, equalTo: "key") {
                do throws(SenderMistake) { if try document.readKey(value) != nil { self.key = value } } catch {
                    throw Refusal(sentence: "key must be a text of at most \(KeepRequest.maximumKeyBytes) bytes.")
                }
            } else if document.isString(key, equalTo: "report") {
                guard let bool = document.bool(value) else {
                    throw Refusal(sentence: "report must be true or false.")
                }
                wantsReport = bool
            } else if !document.isString(key, equalTo: "data"), !document.isString(key, equalTo: "secret") {
                throw Refusal(
                    sentence: """
                        The key '\(document.byteString(key) ?? "")' is unknown: an emit has event, data, room or to, \
                        namespace, keep, key, secret and report.
                        """)
            }
        }
        guard hasEvent else { throw Refusal(sentence: "event is missing: it must be a text.") }
        if let to {
            if let room, Self.names(room, document) != Self.names(to, document) {
                throw Refusal(sentence: "room and to mean the same but differ: leave one of them out.")
            }
            room = to
        }
        guard room != nil || !asksToBeKept else {
            throw Refusal(sentence: "keep needs a room: a message for everybody can't be kept.")
        }
    }

    /// Nil for null and the empty text; both mean everybody.
    private static func room(
        _ value: JSONDocument.Node, _ key: StaticString, _ document: borrowing JSONDocument
    ) throws(Refusal) -> JSONDocument.Node? {
        switch document.kind(of: value) {
        case .null: return nil
        case .string: return document.isString(value, equalTo: "") ? nil : value
        case .array:
            let names = names(value, document)
            guard names != [] else {
                throw Refusal(sentence: "\(key) is an empty list: use null to send to everybody.")
            }
            if !names.contains(nil) { return value }
        default: break
        }
        throw Refusal(sentence: "\(key) must be a text or a list of texts, or null for everybody.")
    }

    /// Nil stands for a value that is not a text.
    private static func names(_ room: JSONDocument.Node, _ document: borrowing JSONDocument) -> [ByteString?] {
        guard document.kind(of: room) == .array else { return [document.byteString(room)] }
        return document.elements(of: room).map { document.byteString($0) }
    }
}
