import Bytes

/// A small JSON text for operators. Messages never take this way.
package enum JSONValue {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([(String, JSONValue)])

    package static func name(_ name: ByteString) -> JSONValue { .text(name.text) }

    /// The text, followed by a line feed.
    package var line: String {
        var writer = JSONWriter()
        write(to: &writer)
        writer.append("\n")
        return unsafe writer.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    private func write(to writer: inout JSONWriter) {
        switch self {
        case .null: writer.append("null")
        case .bool(let value): if value { writer.append("true") } else { writer.append("false") }
        case .integer(let value): writer.appendInteger(Int64(value))
        case .number(let value): writer.appendFloat(value)
        case .text(let text): unsafe ByteString(text).withUnsafeBytes { unsafe writer.appendString(wtf8: $0) }
        case .list(let values):
            writer.append("[")
            for (index, value) in values.enumerated() {
                if index > 0 { writer.append(",") }
                value.write(to: &writer)
            }
            writer.append("]")
        case .object(let members):
            writer.append("{")
            for (index, (key, value)) in members.enumerated() {
                if index > 0 { writer.append(",") }
                JSONValue.text(key).write(to: &writer)
                writer.append(":")
                value.write(to: &writer)
            }
            writer.append("}")
        }
    }
}
