import Bytes
import EmitFastLane

/// An emit of ours as it is published.
package struct OwnEmit: Sendable {
    package let payload: [UInt8]
    /// Known of those that the fast lane has written.
    let parts: OwnEmitParts?

    package init(payload: [UInt8]) {
        self.payload = payload
        parts = nil
    }

    /// Reads the body of a `POST /emit` in one pass, and writes what `PubSubMessageEncoder.emit` would.
    ///
    /// - Returns: nil where the body has to be parsed, which says whether it is an emit at all.
    package init?(body: UnsafeRawBufferPointer, hostID: ByteString, isSecret: (UnsafeRawBufferPointer) -> Bool) {
        guard let (payload, parts) = EmitFastLane.ownEmit(body: body, hostID: hostID, isSecret: isSecret) else {
            return nil
        }
        self.payload = payload
        self.parts = parts
    }
}

extension PubSubMessageDecoder {
    /// Decodes an emit of ours on its way out, and calls `body` with the message, during which `encodeEvent` may be called.
    package func decoding<R>(_ emit: OwnEmit, _ body: (PubSubMessage) throws -> R) throws -> R {
        try emit.payload.withUnsafeBytes { payload in
            if let parts = emit.parts, let message = message(parts, in: payload) { return try body(message) }
            return try body(try decode(payload, includingOwn: true))
        }
    }
}
