import Bytes
import JSONCodec
import PickleCodec
import Testing

@testable import PubSubMessages

extension PubSubMessageDecoder {
    /// Decodes a payload given as text.
    func decode(text: String) throws(PubSubMessageError) -> PubSubMessage { try decode(bytes: Array(text.utf8)) }

    /// Decodes a payload and, if it is an emit, its event, while the array is alive.
    func decode(bytes: [UInt8]) throws(PubSubMessageError) -> PubSubMessage {
        try bytes.withUnsafeBytes { buffer in Result { () throws(PubSubMessageError) in try decode(buffer) } }.get()
    }

    /// The event of a payload as text, attachments as `|` and hexadecimal.
    func event(_ bytes: [UInt8]) throws(PubSubMessageError) -> String {
        try bytes.withUnsafeBytes { buffer in
            Result { () throws(PubSubMessageError) in
                guard case .emit = try decode(buffer) else { return "no emit" }
                let body = try encodeEvent()
                let attachments = body.attachments.map { bytes in
                    "|" + bytes.map { String($0, radix: 16) }.joined(separator: ",")
                }
                return String(decoding: body.json, as: UTF8.self) + attachments.joined()
            }
        }.get()
    }

    /// The result for a message: its route and event, or its error.
    func outcome(_ payload: UnsafeRawBufferPointer) -> Outcome {
        var outcome = Outcome()
        do throws(PubSubMessageError) {
            let message = try decode(payload)
            if case .emit(let emit) = message {
                outcome.route = [emit.namespace, emit.hostID ?? "-"] + emit.skip
                outcome.rooms = emit.rooms
                outcome.dialect = emit.dialect
                outcome.hasCallback = emit.callback != nil
                outcome.keep = emit.keep
                outcome.key = emit.key
                outcome.event = try encodeEvent()
            } else {
                outcome.text = "\(message)"
            }
            outcome.mistakes = mistakes
            outcome.sender = senderHostID
        } catch {
            // The fast lane may know the sender of a message that a parser refuses.
            outcome = Outcome()
            outcome.text = "\(error)"
        }
        return outcome
    }

    func event(text: String) throws(PubSubMessageError) -> String { try event(Array(text.utf8)) }
}

/// A decoder's result for a message.
struct Outcome: Equatable {
    var route: [ByteString] = []
    var rooms = PubSubMessage.Rooms.everyone
    var dialect = Dialect.pickle
    var hasCallback = false
    var keep: KeepRequest?
    var key: ByteString?
    var event: EventBody?
    var mistakes = SenderMistakes()
    var sender: ByteString?
    /// Another message, or an error.
    var text = ""
}

/// An emit as JSON with `fields` in place of the usual ones.
func emitText(_ fields: String = "", host: String = "h", data: String = "1") -> String {
    let extra = fields.isEmpty ? "" : ", " + fields
    return """
        {"method": "emit", "event": "x", "data": \(data), "namespace": "/", "host_id": "\(host)"\(extra)}
        """
}

/// A whole message of any format in one spelling: JSON with tuples as arrays and bytes as attachments.
func canonical(_ payload: [UInt8]) throws -> EventBody {
    try payload.withUnsafeBytes { bytes in
        var writer = JSONWriter()
        if bytes.first == UInt8(ascii: "{") {
            var document = JSONDocument()
            try document.parse(bytes)
            document.write(document.root, to: &writer)
            return EventBody(json: writer.copyBytes())
        }
        var document = PickleDocument()
        try document.parse(bytes)
        var nodes: [PickleDocument.Node] = []
        try document.writeJSON(document.root, to: &writer, attachments: &nodes)
        return EventBody(
            json: writer.copyBytes(), attachments: nodes.map { document.bytes(of: $0).map(Array.init) ?? [] })
    }
}
