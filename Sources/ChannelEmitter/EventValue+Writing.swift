import Bytes
import PickleCodec
import PubSubMessages

extension OutgoingMessage {
    /// The payload with these arguments as JSON text.
    func json(_ arguments: [EventValue]) -> [UInt8] {
        json { writer in
            guard !arguments.isEmpty else { return writer.append("null") }
            var attachments: [[UInt8]] = []
            var list = JSONWriter()
            list.append(.array(arguments), attachments: &attachments)
            let isBare = arguments.count == 1 && !arguments[0].isArray && attachments.isEmpty
            unsafe list.withUnsafeBytes { list in
                if isBare {
                    unsafe writer.append(raw: UnsafeRawBufferPointer(rebasing: list.dropFirst().dropLast()))
                } else {
                    unsafe writer.appendData(list: list, attachments: attachments)
                }
            }
        }
    }

    /// The payload as pickle: no argument is None, several are a tuple, as Python's `emit` publishes them.
    func pickle(_ arguments: [EventValue], version: Int) -> [UInt8] {
        pickle(version: version) { writer in
            guard !arguments.isEmpty else { return writer.appendNone() }
            if arguments.count > 1 { writer.beginTuple() }
            for argument in arguments { writer.append(argument) }
            if arguments.count > 1 { writer.endTuple() }
        }
    }
}

extension JSONWriter {
    /// Writes a value, with placeholders for bytes.
    fileprivate mutating func append(_ value: EventValue, attachments: inout [[UInt8]]) {
        switch value {
        case .null: append("null")
        case .bool(let value): append(value ? "true" : "false")
        case .int(let value): appendInteger(Int64(value))
        case .double(let value): if value.isFinite { appendFloat(value) } else { append("null") }
        case .string(let text): append(text: text)
        case .data(let bytes):
            append("{\"_placeholder\":true,\"num\":")
            appendInteger(Int64(attachments.count))
            append("}")
            attachments.append(bytes)
        case .array(let items):
            append("[")
            for (index, item) in items.enumerated() {
                if index > 0 { append(",") }
                append(item, attachments: &attachments)
            }
            append("]")
        case .object(let members):
            append("{")
            for (index, (key, member)) in members.enumerated() {
                if index > 0 { append(",") }
                append(text: key)
                append(":")
                append(member, attachments: &attachments)
            }
            append("}")
        }
    }

    private mutating func append(text: String) {
        var text = text
        text.withUTF8 { unsafe appendString(wtf8: UnsafeRawBufferPointer($0)) }
    }
}

extension PickleWriter {
    /// Writes the Python value that arrives as this argument.
    fileprivate mutating func append(_ value: EventValue) {
        switch value {
        case .null: appendNone()
        case .bool(let value): append(value)
        case .int(let value): append(Int64(value))
        case .double(let value): if value.isFinite { append(value) } else { appendNone() }
        case .string(let text): appendText(ByteString(text))
        case .data(let bytes): unsafe bytes.withUnsafeBytes { unsafe appendBytes($0) }
        case .array(let items):
            beginList()
            for item in items { append(item) }
            endList()
        case .object(let members):
            beginDict()
            for (key, member) in members {
                appendText(ByteString(key))
                append(member)
            }
            endDict()
        }
    }
}

extension EventValue {
    fileprivate var isArray: Bool {
        if case .array = self { true } else { false }
    }
}
