import JSONCodec
import PickleCodec
import Testing

@testable import PubSubMessages

extension PubSubMessageDecoder {
    /// Decodes a payload given as text.
    func decode(text: String) throws(PubSubMessageError) -> PubSubMessage { try decode(bytes: Array(text.utf8)) }

    /// Decodes a payload and, if it is an emit, its event; the array only has to live that long.
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

    /// A message and its event or error in one text.
    func outcome(_ payload: UnsafeRawBufferPointer, isWhole: Bool) -> String {
        do throws(PubSubMessageError) {
            let message =
                isWhole ? try decodeWhole(payload, includingOwn: false) : try decode(payload)
            guard case .emit(let emit) = message else { return "\(message)" }
            let event = try encodeEvent()
            return "\(emit.namespace) \(emit.rooms) \(emit.skip) \(emit.callback != nil) \(emit.hostID ?? "") "
                + String(decoding: event.json, as: UTF8.self) + "\(event.attachments.count)"
        } catch {
            // The scan may know the sender of what the parse refuses.
            return "\(error)"
        }
    }

    func event(text: String) throws(PubSubMessageError) -> String { try event(Array(text.utf8)) }
}

/// An emit as JSON with `fields` in place of the usual ones.
func emitText(_ fields: String = "", host: String = "h", data: String = "1") -> String {
    let extra = fields.isEmpty ? "" : ", " + fields
    return """
        {"method": "emit", "event": "x", "data": \(data), "namespace": "/", "host_id": "\(host)"\(extra)}
        """
}

/// A whole message in one spelling, whatever its form: JSON with tuples as arrays and bytes as attachments.
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
