import Bytes
import PickleCodec
import PubSubMessages

/// The body of `POST /emit` for a recorded message: `event`, `data`, `room`, `namespace` and `secret`.
struct EmitRequest {
    let body: [UInt8]
    /// True when the message had a callback or a skip_sid, which the request has no key for.
    let isSimplified: Bool

    /// - Throws: for a message that the request can't express.
    init(_ payload: [UInt8], secret: ByteString, by inspector: MessageInspector) throws {
        let (inspection, message) = try inspector.dict(of: payload)
        let arguments = try EventArguments(of: message, writtenAs: inspection)
        guard let method = message["method"], method.isText("emit"), let event = message["event"], let arguments else {
            throw Refusal("only emits can be posted")
        }
        guard let namespace = message["namespace"], let name = namespace.textContent, !name.isEmpty else {
            // In the request a missing namespace is the main one.
            throw Refusal("a message without namespace reaches nobody")
        }
        guard arguments.values.count <= 1 else { throw Refusal("an event has several arguments") }
        if case .null? = arguments.values.first { throw Refusal("None is an argument of its own") }
        isSimplified = ["callback", "skip_sid"].contains { key in message[key].map { !$0.isNone } ?? false }
        var writer = JSONWriter()
        var attachments: [[UInt8]] = []
        let fields: [(key: StaticString, value: PickleValue)] = [
            ("event", event), ("data", arguments.values.first ?? .null), ("room", message["room"] ?? .null),
            ("namespace", namespace), ("secret", .text(secret)),
        ]
        for (index, field) in fields.enumerated() {
            writer.append(index == 0 ? "{" : ",")
            writer.appendString(field.key)
            writer.append(":")
            try field.value.json(attachments: &attachments).withUnsafeBytes { writer.append(raw: $0) }
        }
        writer.append("}")
        guard attachments.isEmpty else { throw Refusal("bytes are among the data") }
        body = writer.copyBytes()
    }
}
