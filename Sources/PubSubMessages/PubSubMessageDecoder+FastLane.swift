import Bytes
import EmitFastLane

/// The only call of the fast lane. Without it each emit is parsed, with the same result.
extension PubSubMessageDecoder {
    /// The message that `Route` would read from the payload; nil if it has to be parsed.
    @inline(__always) func decodeFast(
        _ payload: UnsafeRawBufferPointer, includingOwn: Bool, mayReach: (UnsafeRawBufferPointer, ByteString) -> Bool
    ) -> PubSubMessage? {
        guard usesFastLane, payload.count <= limits.maximumPayloadBytes, let emit = unsafe fastLane.locate(payload)
        else {
            return nil
        }
        // Texts equal to those of the last message share their storage.
        if unsafe !lastHostID.hasBytes(emit.hostID) {
            guard unsafe emit.hostID.count <= HostID.maximumBytes else { return nil }
            lastHostID = unsafe ByteString(emit.hostID)
            isLastHostOwn = lastHostID == hostID
        }
        beginMessage(hasSender: true)
        if isLastHostOwn, !includingOwn { return .ignored(.ownMessage) }
        if unsafe !lastNamespace.hasBytes(emit.namespace) { lastNamespace = unsafe ByteString(emit.namespace) }
        let dialect =
            emit.isPickle
            ? .pickle : dialect(Dialect(hasBinary: emit.hasBinary, isList: emit.dataIsList), of: lastHostID)
        if let room = unsafe emit.room, unsafe !mayReach(room, lastNamespace) { return .emitForNobody(dialect) }
        content = unsafe .located(payload, isArgumentList: dialect == .json5_15_1)
        return unsafe .emit(
            PubSubMessage.Emit(
                namespace: lastNamespace, rooms: emit.room.map { unsafe roomNames.rooms(named: $0) } ?? .everyone,
                skip: unsafe emit.skipSID.map { unsafe [ByteString($0)] } ?? [], callback: nil,
                hostID: lastHostID, dialect: dialect))
    }
}
