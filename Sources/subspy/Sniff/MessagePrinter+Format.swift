import Bytes
import PubSubMessages

extension MessagePrinter {
    /// Appends a message in a user's own format.
    func append(_ message: ShownMessage, as format: LineFormat) {
        for part in format.parts {
            switch part {
            case .literal(let bytes): bytes.withUnsafeBytes { line.append(raw: $0) }
            case .field(let field):
                var text = JSONWriter(capacity: 256)
                append(field, of: message, to: &text)
                text.withUnsafeBytes { PrintableText.append($0, characters: truncation, to: &line) }
            }
        }
    }

    private func append(_ field: LineFormat.Field, of message: ShownMessage, to text: inout JSONWriter) {
        let (format, isCallback) = (message.format, message.inspection.summary.method == "callback")
        func append(key: StaticString) { renderer.appendField(key, format, of: inspector, to: &text) }
        switch field {
        case .time: timestamps.append(to: &text)
        case .method: append(key: "method")
        case .event: append(key: "event")
        case .room: append(key: "room")
        case .namespace: append(key: "namespace")
        case .skipSID: append(key: "skip_sid")
        case .sid: append(key: "sid")
        case .host: append(key: "host_id")
        case .data: renderer.appendJSON(isCallback ? "args" : "data", format, of: inspector, to: &text)
        case .pythonData:
            renderer.render(isCallback ? "args" : "data", format, of: inspector)
            renderer.withBytes { text.append(raw: $0) }
        case .message: renderer.appendJSON(nil, format, of: inspector, to: &text)
        case .pythonMessage:
            renderer.render(message.payload, format, of: inspector)
            renderer.withBytes { text.append(raw: $0) }
        case .size: text.appendInteger(Int64(message.payload.count))
        case .wireFormat: text.append(text: message.inspection.wireFormat.description)
        case .redisChannel: PrintableText.append(message.redisChannel, to: &text)
        case .number: text.appendInteger(Int64(message.number))
        case .dropReason: text.append(text: message.inspection.dropReason ?? "")
        }
    }
}
