import Bytes
import PickleCodec

/// A message for the channel: its keys in python-socketio's order, with what stands for an emit's data left open.
///
/// Wire format: python-socketio's `PubSubManager`, methods `emit`, `close_room`, `disconnect`, `enter_room`, `leave_room`.
package struct OutgoingMessage {
    private enum Value {
        case none
        case text(ByteString)
        case texts([ByteString])
        /// What the caller writes.
        case data

        /// One text stands bare, which receivers before 5.3 need.
        static func oneOrMore(_ texts: [ByteString]) -> Value {
            texts.isEmpty ? .none : texts.count == 1 ? .text(texts[0]) : .texts(texts)
        }
    }

    private let fields: [(key: StaticString, value: Value)]

    /// - Parameters:
    ///   - rooms: none for everybody in the namespace.
    ///   - sids: clients that don't get it.
    package static func emit(
        event: String, rooms: [String], namespace: String, skipping sids: [String] = [], hostID: ByteString
    ) -> OutgoingMessage {
        OutgoingMessage(fields: [
            ("method", .text("emit")), ("event", .text(ByteString(event))), ("data", .data),
            ("namespace", .text(ByteString(namespace))), ("room", .oneOrMore(rooms.map { ByteString($0) })),
            ("skip_sid", .oneOrMore(sids.map { ByteString($0) })), ("callback", .none), ("host_id", .text(hostID)),
        ])
    }

    /// Takes everybody out of a room.
    package static func closeRoom(_ room: String, namespace: String, hostID: ByteString) -> OutgoingMessage {
        OutgoingMessage(fields: [
            ("method", .text("close_room")), ("room", .text(ByteString(room))),
            ("namespace", .text(ByteString(namespace))), ("host_id", .text(hostID)),
        ])
    }

    /// Disconnects a client from a namespace.
    package static func disconnect(_ sid: String, namespace: String, hostID: ByteString) -> OutgoingMessage {
        OutgoingMessage(fields: [
            ("method", .text("disconnect")), ("sid", .text(ByteString(sid))),
            ("namespace", .text(ByteString(namespace))), ("host_id", .text(hostID)),
        ])
    }

    /// What becomes of a client's membership of a room.
    package enum Membership: ByteString {
        case enter = "enter_room"
        case leave = "leave_room"
    }

    /// Puts a client into a room, or takes it out.
    package static func membership(
        _ change: Membership, sid: String, room: String, namespace: String, hostID: ByteString
    ) -> OutgoingMessage {
        OutgoingMessage(fields: [
            ("method", .text(change.rawValue)), ("sid", .text(ByteString(sid))), ("room", .text(ByteString(room))),
            ("namespace", .text(ByteString(namespace))), ("host_id", .text(hostID)),
        ])
    }

    /// The payload as JSON text.
    ///
    /// - Parameter data: writes the value of `data`, and keys behind it where its form needs them.
    package func json(data: (inout JSONWriter) -> Void = { $0.append("null") }) -> [UInt8] {
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
            case .data: data(&writer)
            }
        }
        writer.append("}")
        return writer.copyBytes()
    }

    /// The payload as a pickle of protocol 0 to 5.
    ///
    /// - Parameter data: writes the value of `data`.
    package func pickle(version: Int, data: (inout PickleWriter) -> Void = { $0.appendNone() }) -> [UInt8] {
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
            case .data: data(&writer)
            }
        }
        writer.endDict()
        writer.finish()
        return writer.copyBytes()
    }
}
