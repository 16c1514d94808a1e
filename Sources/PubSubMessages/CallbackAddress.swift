import Bytes

/// Where the answer to an emit goes: what the emitter put into `callback`, to be sent back as it was.
///
/// On the wire a tuple (pickle) or list (JSON) `(room, namespace, id)`. The answer's `sid` is that room, not the client's sid.
package struct CallbackAddress: Hashable, Sendable {
    /// The emitter; only this process acts on the answer.
    package var hostID: ByteString?
    package var dialect: Dialect
    package var room: RouteValue
    package var namespace: RouteValue
    package var id: RouteValue

    /// A value of the emitter's that is only echoed.
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
