import Bytes
import EmitFastLane

/// The one call of the fast lane. Without it each emit is parsed, with the same result.
extension PubSubMessageDecoder {
    /// The message that `Route` would read from the payload; nil if it has to be parsed.
    @inline(__always) func decodeFast(
        _ payload: UnsafeRawBufferPointer, includingOwn: Bool, mayReach: (UnsafeRawBufferPointer, ByteString) -> Bool
    ) -> PubSubMessage? {
        guard usesFastLane, payload.count <= limits.maximumPayloadBytes, let emit = unsafe fastLane.locate(payload)
        else {
            return nil
        }
        // Texts that the message before had too are shared.
        if unsafe !lastHostID.hasBytes(emit.hostID) {
            guard unsafe emit.hostID.count <= HostID.maximumBytes else { return nil }
            unsafe lastHostID = unsafe ByteString(emit.hostID)
            unsafe isLastHostOwn = unsafe lastHostID == hostID
        }
        beginMessage(hasSender: true)
        if unsafe isLastHostOwn, !includingOwn { return .ignored(.ownMessage) }
        if unsafe !lastNamespace.hasBytes(emit.namespace) { unsafe lastNamespace = unsafe ByteString(emit.namespace) }
        let dialect =
            unsafe emit.isPickle
            ? .pickle : dialect(Dialect(hasBinary: emit.hasBinary, isList: emit.dataIsList), of: lastHostID)
        if let room = unsafe emit.room, unsafe !mayReach(room, lastNamespace) { return .emitForNobody(dialect) }
        unsafe content = unsafe .located(payload, isArgumentList: dialect == .json5_15_1)
        return unsafe .emit(
            PubSubMessage.Emit(
                namespace: lastNamespace, rooms: emit.room.map { unsafe roomNames.rooms(named: $0) } ?? .everyone,
                skip: unsafe emit.skipSID.map { unsafe [ByteString($0)] } ?? [], callback: nil,
                hostID: unsafe lastHostID, dialect: dialect))
    }
}
