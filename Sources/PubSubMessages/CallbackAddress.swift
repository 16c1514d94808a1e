import Bytes

/// The address for a client's ack of an emit: the value of `callback`, to be sent back unchanged.
///
/// On the wire a tuple (pickle) or list (JSON) `(room, namespace, id)`. The ack's `sid` is that room, not the client's sid.
package struct CallbackAddress: Hashable, Sendable {
    /// The emitter; only this process acts on the ack.
    package var hostID: ByteString?
    package var dialect: Dialect
    package var room: RouteValue
    package var namespace: RouteValue
    package var id: RouteValue

    /// A value of the emitter that is sent back unchanged.
    package indirect enum RouteValue: Hashable, Sendable {
        case none
        case bool(Bool)
        case integer(Int64)
        case float(Double)
        case text(ByteString)
        case list([RouteValue])
        case tuple([RouteValue])
    }
}
