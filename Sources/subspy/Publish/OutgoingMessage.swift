import ArgumentParser
import JSONCodec
import PickleCodec
import PubSubMessages

/// How messages are written.
enum MessageEncoding: Hashable {
    /// What every python-socketio from 1.8.4 on reads.
    case json
    /// What releases up to 5.13 read; protocol 0 to 5.
    case pickle(version: Int)
}

/// A message of ours: all of its keys in python-socketio's order, with texts as values, and an emit's data.
///
/// Wire format: python-socketio's `PubSubManager`, methods `emit`, `disconnect`, `enter_room`, `leave_room`, `close_room`.
struct OutgoingMessage {
    enum Value {
        case none
        case text(ByteString)
        case texts([ByteString])
        /// The JSON text given to `encode`.
        case data
    }

    private let fields: [(key: StaticString, value: Value)]

    /// - Parameter rooms: none for everybody in the namespace.
    static func emit(event: String, rooms: [String], namespace: String, hostID: ByteString) -> OutgoingMessage {
        let room: Value =
            switch rooms.count {
            case 0: .none
            case 1: .text(ByteString(rooms[0]))
            default: .texts(rooms.map { ByteString($0) })
            }
        return OutgoingMessage(fields: [
            ("method", .text("emit")), ("event", .text(ByteString(event))), ("data", .data),
            ("namespace", .text(ByteString(namespace))), ("room", room), ("skip_sid", .none), ("callback", .none),
            ("host_id", .text(hostID)),
        ])
    }

    static func closeRoom(_ room: String, namespace: String, hostID: ByteString) -> OutgoingMessage {
        OutgoingMessage(fields: [
            ("method", .text("close_room")), ("room", .text(ByteString(room))),
            ("namespace", .text(ByteString(namespace))),
            ("host_id", .text(hostID)),
        ])
    }

    static func disconnect(_ sid: String, namespace: String, hostID: ByteString) -> OutgoingMessage {
        OutgoingMessage(fields: [
            ("method", .text("disconnect")), ("sid", .text(ByteString(sid))),
            ("namespace", .text(ByteString(namespace))),
            ("host_id", .text(hostID)),
        ])
    }

    /// - Parameter method: `enter_room` or `leave_room`.
    static func room(
        _ method: ByteString, sid: String, room: String, namespace: String, hostID: ByteString
    ) -> OutgoingMessage {
        OutgoingMessage(fields: [
            ("method", .text(method)), ("sid", .text(ByteString(sid))), ("room", .text(ByteString(room))),
            ("namespace", .text(ByteString(namespace))), ("host_id", .text(hostID)),
        ])
    }

    /// The payload to publish.
    ///
    /// - Parameter data: JSON text for the `data` of an emit; empty for None.
    func encode(as encoding: MessageEncoding, data: [UInt8] = []) throws(JSONError) -> [UInt8] {
        var document = JSONDocument()
        let text = data.isEmpty ? Array("null".utf8) : data
        let result: Result<[UInt8], JSONError> = text.withUnsafeBytes { bytes in
            do throws(JSONError) { try document.parse(bytes) } catch { return .failure(error) }
            switch encoding {
            case .json: return .success(json(document))
            case .pickle(let version): return .success(pickle(document, version))
            }
        }
        return try result.get()
    }

    /// As the bridge writes it for `POST /emit`: bare data, which all receivers take for one argument, but a list
    /// wrapped and with the `binary` key, since those of 5.15.1 and later would spread it.
    private func json(_ data: borrowing JSONDocument) -> [UInt8] {
        var writer = JSONWriter()
        for (index, (key, value)) in fields.enumerated() {
            writer.append(index == 0 ? "{" : ",")
            writer.appendString(key)
            writer.append(":")
            switch value {
            case .none: writer.append("null")
            case .text(let text): text.withUnsafeBytes { writer.appendString(wtf8: $0) }
            case .texts(let texts):
                for (index, text) in texts.enumerated() {
                    writer.append(index == 0 ? "[" : ",")
                    text.withUnsafeBytes { writer.appendString(wtf8: $0) }
                }
                writer.append("]")
            case .data:
                let isList = data.kind(of: data.root) == .array
                if isList { writer.append("[") }
                data.write(data.root, to: &writer)
                if isList { writer.append("],\"binary\":false") }
            }
        }
        writer.append("}")
        return writer.copyBytes()
    }

    private func pickle(_ data: borrowing JSONDocument, _ version: Int) -> [UInt8] {
        var writer = PickleWriter(version: version)
        writer.beginDict()
        for (key, value) in fields {
            writer.append(key)
            switch value {
            case .none: writer.appendNone()
            case .text(let text): writer.appendText(text)
            case .texts(let texts):
                writer.beginList()
                for text in texts { writer.appendText(text) }
                writer.endList()
            case .data: writer.append(data.root, of: data)
            }
        }
        writer.endDict()
        writer.finish()
        return writer.copyBytes()
    }
}

/// The id under which this process publishes: 32 hexadecimal digits, as python-socketio's `uuid4().hex`.
enum HostID {
    static func random() -> ByteString {
        var words = [UInt64.random(in: 0...UInt64.max), UInt64.random(in: 0...UInt64.max)]
        // Version 4, variant 1.
        words[0] = words[0] & ~0xF000 | 0x4000
        words[1] = words[1] & ~(0xC000 << 48) | 0x8000 << 48
        return ByteString(
            words.map { word in
                let digits = String(word, radix: 16)
                return String(repeating: "0", count: 16 - digits.utf8.count) + digits
            }.joined())
    }
}
