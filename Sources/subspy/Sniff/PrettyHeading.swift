import Bytes
import PubSubMessages

/// The first line of a message for people: `23:06:10.123 update → time  178 bytes, pickle 4, from ce56fbc1`.
struct PrettyHeading {
    let palette: Palette

    func appendTime(_ timestamps: Timestamps, to line: inout JSONWriter) {
        palette.begin(.quiet, &line)
        timestamps.append(to: &line)
        palette.end(&line)
        line.append("  ")
    }

    func append(
        _ message: ShownMessage, of inspector: MessageInspector, _ renderer: inout MessageRenderer, channel: Bool,
        to line: inout JSONWriter
    ) {
        func field(_ key: StaticString) -> JSONWriter {
            var text = JSONWriter(capacity: 64)
            renderer.appendField(key, message.format, of: inspector, to: &text)
            return text
        }
        func append(_ label: StaticString, _ key: StaticString) {
            let text = field(key)
            guard text.count > 0 else { return }
            line.append(label)
            text.withUnsafeBytes { line.append(raw: $0) }
        }
        let summary = message.inspection.summary
        let isEmit = summary.method == "emit"
        palette.begin(.event, &line)
        if case .undecodable = message.format {
            line.append("undecodable")
        } else {
            let name = field(isEmit ? "event" : "method")
            if name.count == 0 { line.append(isEmit ? "(no event)" : "(no method)") }
            name.withUnsafeBytes { line.append(raw: $0) }
        }
        palette.end(&line)
        append(" ", "sid")
        if isEmit, field("room").count == 0 { line.append(" → everyone") } else { append(" → ", "room") }
        if summary.namespace != "/" { append("  namespace ", "namespace") }
        append("  skips ", "skip_sid")
        if isEmit, field("callback").count > 0 { line.append("  wants an ack") }
        palette.begin(.quiet, &line)
        line.append("  ")
        line.appendInteger(Int64(message.payload.count))
        line.append(message.payload.count == 1 ? " byte" : " bytes")
        if case .undecodable = message.format {
        } else {
            line.append(", ")
            line.append(text: message.inspection.wireFormat.description)
        }
        let host = field("host_id")
        if host.count > 0 {
            line.append(", from ")
            host.withUnsafeBytes { _ = PrintableText.append($0, cutTo: 9, to: &line) }
        }
        if channel {
            line.append(", on ")
            PrintableText.append(message.redisChannel, to: &line)
        }
        palette.end(&line)
    }
}
