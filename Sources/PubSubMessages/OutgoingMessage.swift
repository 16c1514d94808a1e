import Bytes
import PickleCodec

/// A message for the channel: its keys in python-socketio's order. The caller writes the data of an emit and the arguments of an ack.
///
/// Wire format: python-socketio's `PubSubManager`, methods `emit`, `close_room`, `disconnect`, `enter_room`, `leave_room`.
package struct OutgoingMessage {
    private enum Value {
        case route(CallbackAddress.RouteValue)
        /// Written by the caller.
        case data

        static let none = Value.route(.none)

        static func text(_ text: ByteString) -> Value { .route(.text(text)) }

        static func keep(_ keep: KeepRequest) -> Value {
            switch keep {
            case .no: .route(.bool(false))
            case .yes: .route(.bool(true))
            case .forSeconds(let seconds): .route(Int64(exactly: seconds).map { .integer($0) } ?? .float(seconds))
            }
        }

        /// One text stands bare, which receivers before 5.3 need.
        static func oneOrMore(_ texts: [ByteString]) -> Value {
            texts.isEmpty ? .none : texts.count == 1 ? .text(texts[0]) : .route(.list(texts.map { .text($0) }))
        }
    }

    private let fields: [(key: StaticString, value: Value)]

    /// - Parameters:
    ///   - rooms: none for everybody in the namespace.
    ///   - sids: clients that don't get it.
    ///   - keep: the message's own word on whether it is kept; nil for none.
    ///   - key: its key among the kept values of the event; nil for none.
    package static func emit(
        event: String, rooms: [String], namespace: String, skipping sids: [String] = [], keep: KeepRequest? = nil,
        key: String? = nil, hostID: ByteString
    ) -> OutgoingMessage {
        var fields: [(key: StaticString, value: Value)] = [
            ("method", .text("emit")), ("event", .text(ByteString(event))), ("data", .data),
            ("namespace", .text(ByteString(namespace))), ("room", .oneOrMore(rooms.map { ByteString($0) })),
            ("skip_sid", .oneOrMore(sids.map { ByteString($0) })), ("callback", .none),
        ]
        if let keep { fields.append(("keep", .keep(keep))) }
        if let key { fields.append(("key", .text(ByteString(key)))) }
        return OutgoingMessage(fields: fields + [("host_id", .text(hostID))])
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

    /// A message of this ws-emit to all on the channel about the values that they keep.
    ///
    /// - Parameter requester: the host id of the ws-emit that asked; nil in a question.
    static func aboutKeptValues(
        _ method: String, host: ByteString, for requester: ByteString? = nil, id: Int64
    ) -> OutgoingMessage {
        let requester = requester.map { [(key: "for" as StaticString, value: Value.text($0))] } ?? []
        return OutgoingMessage(
            fields: [("method", .text(ByteString(method))), ("host_id", .text(host))] + requester
                + [("id", .route(.integer(id)))])
    }

    /// A client's ack of an emit of another process.
    static func callback(to address: CallbackAddress) -> OutgoingMessage {
        OutgoingMessage(fields: [
            ("method", .text("callback")), ("host_id", address.hostID.map { .text($0) } ?? .none),
            ("sid", .route(address.room)), ("namespace", .route(address.namespace)), ("id", .route(address.id)),
            ("args", .data),
        ])
    }

    /// The payload as JSON text.
    ///
    /// - Parameter data: writes the value of `data` or `args`, and after it the keys that its format needs.
    package func json(data: (inout JSONWriter) -> Void = { $0.append("null") }) -> [UInt8] {
        var writer = JSONWriter()
        for (index, (key, value)) in fields.enumerated() {
            writer.append(index == 0 ? "{" : ",")
            writer.appendString(key)
            writer.append(":")
            switch value {
            case .route(let value): writer.append(value)
            case .data: data(&writer)
            }
        }
        writer.append("}")
        return writer.copyBytes()
    }

    /// The payload as a pickle of protocol 0 to 5.
    ///
    /// - Parameter data: writes the value of `data` or `args`.
    package func pickle(version: Int, data: (inout PickleWriter) -> Void = { $0.appendNone() }) -> [UInt8] {
        var writer = PickleWriter(version: version)
        writer.beginDict()
        for (key, value) in fields {
            writer.append(key)
            switch value {
            case .route(let value): writer.append(value)
            case .data: data(&writer)
            }
        }
        writer.endDict()
        writer.finish()
        return writer.copyBytes()
    }
}

extension JSONWriter {
    fileprivate mutating func append(_ value: CallbackAddress.RouteValue) {
        switch value {
        case .none: append("null")
        case .bool(let bool): if bool { append("true") } else { append("false") }
        case .integer(let integer): appendInteger(integer)
        case .float(let float): appendFloat(float)
        case .text(let text): unsafe text.withUnsafeBytes { unsafe appendString(wtf8: $0) }
        case .list(let values), .tuple(let values):
            append("[")
            for (index, value) in values.enumerated() {
                if index > 0 { append(",") }
                append(value)
            }
            append("]")
        }
    }
}

extension PickleWriter {
    fileprivate mutating func append(_ value: CallbackAddress.RouteValue) {
        switch value {
        case .none: appendNone()
        case .bool(let bool): append(bool)
        case .integer(let integer): append(integer)
        case .float(let float): append(float)
        case .text(let text): appendText(text)
        case .tuple(let values):
            beginTuple()
            for value in values { append(value) }
            endTuple()
        case .list(let values):
            beginList()
            for value in values { append(value) }
            endList()
        }
    }
}
