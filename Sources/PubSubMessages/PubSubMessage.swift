import Bytes

/// One message of python-socketio's pub/sub channel, decoded as far as routing needs it.
///
/// | case | `method` on the wire | published by |
/// |---|---|---|
/// | `emit` | `emit` | every release |
/// | `callback` | `callback` | a server whose client acknowledged an emit of another process |
/// | `disconnect` | `disconnect` | 4.5.0 and later |
/// | `enterRoom`, `leaveRoom` | `enter_room`, `leave_room` | 5.10.0 and later |
/// | `closeRoom` | `close_room` | every release |
/// | `canary`, `keptRequest`, `keptStored` | `ws-emit-…` | ws-emit; python-socketio ignores them in every release |
package enum PubSubMessage: Sendable {
    case emit(Emit)
    /// An emit for a room that is empty, as the caller of `decode` knows.
    case emitForNobody(Dialect)
    /// An ack of an emit of this process.
    case callback(Callback)
    case disconnect(sid: ByteString, namespace: ByteString)
    case enterRoom(sid: ByteString, room: ByteString, namespace: ByteString)
    case leaveRoom(sid: ByteString, room: ByteString, namespace: ByteString)
    case closeRoom(room: ByteString, namespace: ByteString)
    /// A canary of this process that came back.
    case canary(id: Int64)
    /// A ws-emit that has subscribed, this process too, asks the writer of kept values to store what it still holds.
    case keptRequest(host: ByteString, id: Int64)
    /// The writer `host`, this process too, has stored every kept value that was published before the request `id` of `for`.
    case keptStored(host: ByteString, for: ByteString, id: Int64)
    /// A well-formed message that python-socketio's receivers ignore too.
    case ignored(IgnoreReason)

    /// The `method` of a canary, which no other message has.
    package static let canaryMethod = "ws-emit-canary"
    /// The `method` of `keptRequest`.
    package static let keptRequestMethod = "ws-emit-kept-request"
    /// The `method` of `keptStored`.
    package static let keptStoredMethod = "ws-emit-kept-stored"

    /// An event for clients. Its content stays in the payload until `PubSubMessageDecoder.encodeEvent` is called.
    package struct Emit: Sendable {
        package var namespace: ByteString
        package var rooms: Rooms
        /// Sids that don't get it.
        package var skip: [ByteString]
        /// The address for the clients' acks; nil if the emitter wants none.
        package var callback: CallbackAddress?
        /// The sending process; nil if the message doesn't name it.
        package var hostID: ByteString?
        package var dialect: Dialect
        /// The message's own word on whether it is kept (`keep`); nil if it says nothing.
        package var keep: KeepRequest?
        /// The key of the value among those of its event (`key`).
        package var key: ByteString?
    }

    /// The receivers of an event.
    package enum Rooms: Hashable, Sendable {
        /// Everybody in the namespace.
        case everyone
        /// The union of these rooms; each client gets the event once. A sid is a room too. Empty if no client can be in the
        /// rooms named.
        case these([ByteString])
    }

    /// An ack of an emit of this process; `args` stays in the payload.
    package struct Callback: Sendable {
        package var namespace: ByteString?
        package var id: Int64?
    }

    /// The reason why a message is ignored.
    package enum IgnoreReason: String, Hashable, Sendable, CaseIterable {
        case ownMessage = "published by this process, which has handled it already"
        case notAMessage = "an empty value instead of a message"
        case noMethod = "no method"
        case unknownMethod = "a method that python-socketio doesn't have"
        case canaryOfAnotherHost = "the canary of another ws-emit"
        case callbackOfAnotherHost = "an ack for another process"
        case incompleteCallback = "an ack without sid, id or args"
        case noNamespace = "a namespace that is no text, so that it reaches nobody (publish / for the default one)"
        case noTarget = "a sid or room that is no text, so that no client has it"
        case broadcastRoom = "closes the room that everybody is in, which would silence the namespace"
    }
}

/// The way in which a sender writes its messages. It decides how `data` is read and whether an ack may hold bytes.
package enum Dialect: String, Hashable, Sendable, CaseIterable {
    /// python-socketio up to 5.13: a pickle.
    case pickle = "pickle (python-socketio up to 5.13)"
    /// 5.14.0 and 5.14.1, and senders that write JSON by hand: no `binary` key, `data` is the value.
    case json5_14_0 = "JSON without binary (python-socketio 5.14.0, 5.14.1)"
    /// 5.14.2 to 5.15.0: `binary` key, `data` is the value.
    case json5_14_2 = "JSON with bare data (python-socketio 5.14.2 to 5.15.0)"
    /// 5.15.1 and later: `binary` key, `data` is the list of arguments.
    case json5_15_1 = "JSON with an argument list (python-socketio 5.15.1 and later)"

    /// The dialect that a single message in JSON shows by its `binary` key and its data.
    init(hasBinary: Bool, isList: Bool) {
        self = !hasBinary ? .json5_14_0 : isList ? .json5_15_1 : .json5_14_2
    }
}

/// The JSON array of an event, `["update",{"time":1}]`, and its binary attachments in the order of their placeholders.
/// The packet writer puts types, namespace and ack id before it.
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

/// An `EventBody` whose JSON is in its decoder's buffer. It is valid until that decoder is used again.
@safe package struct EncodedEvent {
    package let json: UnsafeRawBufferPointer
    package let attachments: [[UInt8]]
}
