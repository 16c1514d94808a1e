import Bytes
import EmitFastLane

/// Emits that the fast lane has located. Without it each of them is parsed, with the same result.
extension PubSubMessageDecoder {
    /// The message that `Route` would read of the payload; nil where it has to be parsed.
    @inline(__always) func decodeFast(
        _ payload: UnsafeRawBufferPointer, includingOwn: Bool, mayReach: (UnsafeRawBufferPointer, ByteString) -> Bool
    ) -> PubSubMessage? {
        guard usesFastLane, payload.count <= limits.maximumPayloadBytes, let emit = fastLane.locate(payload) else {
            return nil
        }
        // Nothing is made anew that the message before had too.
        if !lastHostID.hasBytes(emit.hostID) {
            guard emit.hostID.count <= HostID.maximumBytes else { return nil }
            lastHostID = ByteString(emit.hostID)
            isLastHostOwn = lastHostID == hostID
        }
        beginMessage(hasSender: true)
        if isLastHostOwn, !includingOwn { return .ignored(.ownMessage) }
        if !lastNamespace.hasBytes(emit.namespace) { lastNamespace = ByteString(emit.namespace) }
        let dialect =
            emit.isPickle
            ? .pickle : dialect(Dialect(hasBinary: emit.hasBinary, isList: emit.dataIsList), of: lastHostID)
        if let room = emit.room, !mayReach(room, lastNamespace) { return .emitForNobody(dialect) }
        content = .located(payload, isArgumentList: dialect == .json5_15_1)
        return .emit(
            PubSubMessage.Emit(
                namespace: lastNamespace, rooms: emit.room.map { roomNames.rooms(named: $0) } ?? .everyone,
                skip: emit.skipSID.map { [ByteString($0)] } ?? [], callback: nil, hostID: lastHostID, dialect: dialect))
    }
}
