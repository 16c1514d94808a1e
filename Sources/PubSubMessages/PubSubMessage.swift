import Bytes

/// One message of python-socketio's pub/sub channel, decoded as far as routing needs it.
///
/// | case | `method` on the wire | published by |
/// |---|---|---|
/// | `emit` | `emit` | every release |
/// | `callback` | `callback` | a server whose client answered an emit of another process |
/// | `disconnect` | `disconnect` | 4.5.0 and later |
/// | `enterRoom`, `leaveRoom` | `enter_room`, `leave_room` | 5.10.0 and later |
/// | `closeRoom` | `close_room` | every release |
package enum PubSubMessage: Sendable {
    case emit(Emit)
    /// An emit for a room of which the caller of `decode` knows that nobody is in it.
    case emitForNobody(Dialect)
    /// An answer to an emit of this process.
    case callback(Callback)
    case disconnect(sid: ByteString, namespace: ByteString)
    case enterRoom(sid: ByteString, room: ByteString, namespace: ByteString)
    case leaveRoom(sid: ByteString, room: ByteString, namespace: ByteString)
    case closeRoom(room: ByteString, namespace: ByteString)
    /// This process's own sign of life, come back; every python-socketio ignores its method.
    case canary(id: Int64)
    /// Well formed, but the receivers of python-socketio do nothing with it either.
    case ignored(IgnoreReason)

    /// The `method` of a canary: like no other, so that it can be told from messages at a glance.
    package static let canaryMethod = "ws-emit-canary"

    /// An event for clients. Its content stays in the payload until `PubSubMessageDecoder.encodeEvent` is called.
    package struct Emit: Sendable {
        package var namespace: ByteString
        package var rooms: Rooms
        /// Sids that don't get it.
        package var skip: [ByteString]
        /// Where the clients' answers go; nil when the emitter wants none.
        package var callback: CallbackAddress?
        /// The sending process, nil when it doesn't say.
        package var hostID: ByteString?
        package var dialect: Dialect
    }

    /// Who gets an event.
    package enum Rooms: Hashable, Sendable {
        /// Everybody in the namespace.
        case everyone
        /// The union of these rooms, each client once; a sid is a room too. Empty when no client can be in what was named.
        case these([ByteString])
    }

    /// An answer to an emit of this process; `args` stays in the payload.
    package struct Callback: Sendable {
        package var namespace: ByteString?
        package var id: Int64?
    }

    /// Why nothing is done with a message.
    package enum IgnoreReason: String, Hashable, Sendable, CaseIterable {
        case ownMessage = "published by this process, which has handled it already"
        case notAMessage = "an empty value instead of a message"
        case noMethod = "no method"
        case unknownMethod = "a method that python-socketio doesn't have"
        case canaryOfAnotherHost = "the sign of life of another ws-emit"
        case callbackOfAnotherHost = "an answer to another process"
        case incompleteCallback = "an answer without sid, id or args"
        case noNamespace = "a namespace that is no text, so that it reaches nobody (publish / for the default one)"
        case noTarget = "a sid or room that is no text, so that no client has it"
        case broadcastRoom = "closes the room that everybody is in, which would silence the namespace"
    }
}

/// How a sender writes its messages, which decides how `data` is to be read and what an answer may hold.
package enum Dialect: String, Hashable, Sendable, CaseIterable {
    /// python-socketio up to 5.13: a pickle.
    case pickle = "pickle (python-socketio up to 5.13)"
    /// 5.14.0 and 5.14.1, and senders that write JSON by hand: no `binary` key, `data` is the value.
    case json5_14_0 = "JSON without binary (python-socketio 5.14.0, 5.14.1)"
    /// 5.14.2 to 5.15.0: `binary` key, `data` is the value.
    case json5_14_2 = "JSON with bare data (python-socketio 5.14.2 to 5.15.0)"
    /// 5.15.1 and later: `binary` key, `data` is the list of arguments.
    case json5_15_1 = "JSON with an argument list (python-socketio 5.15.1 and later)"

    /// What a message in JSON shows by itself: whether it has a `binary` key, and whether its data is a list.
    init(hasBinary: Bool, isList: Bool) {
        self = !hasBinary ? .json5_14_0 : isList ? .json5_15_1 : .json5_14_2
    }
}

/// The JSON array of an event, `["update",{"time":1}]`, and its binary attachments in the order of their placeholders.
/// What stands before it in a packet (types, namespace, ack id) is added per client by the packet's writer.
package struct EventBody: Hashable, Sendable {
    package var json: [UInt8]
    package var attachments: [[UInt8]]

    package init(json: [UInt8], attachments: [[UInt8]] = []) {
        self.json = json
        self.attachments = attachments
    }

    package init(_ event: EncodedEvent) {
        unsafe self.init(json: Array(event.json), attachments: event.attachments)
    }

    package func withEncodedEvent<R>(_ body: (EncodedEvent) -> R) -> R {
        unsafe json.withUnsafeBytes { unsafe body(EncodedEvent(json: $0, attachments: attachments)) }
    }
}

/// An `EventBody` whose JSON stands where its decoder wrote it, until that decoder is used again.
@safe package struct EncodedEvent {
    package let json: UnsafeRawBufferPointer
    package let attachments: [[UInt8]]
}
