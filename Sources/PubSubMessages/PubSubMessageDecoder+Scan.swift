import JSONCodec
import PickleCodec

/// Emits that are routed by their keys alone.
extension PubSubMessageDecoder {
    /// The room of a usual emit in the namespace of the message before, whose sender becomes the last one; nil for all others
    /// and for messages of our own.
    @inline(__always) func usualRoom<Document: ScannedDocument & ~Copyable>(
        _ usual: UsualEmit, of document: borrowing Document
    ) -> UnsafeRawBufferPointer? {
        guard let namespace = document.plainText(document.value(at: usual.namespace)),
            lastNamespace.hasBytes(namespace), let host = document.plainText(document.value(at: usual.hostID))
        else { return nil }
        if !lastHostID.hasBytes(host) {
            guard host.count <= HostID.maximumBytes else { return nil }
            lastHostID = ByteString(host)
            isLastHostOwn = lastHostID == hostID
        }
        return isLastHostOwn ? nil : document.plainText(document.value(at: usual.room))
    }

    /// The message scanned, if it is a usual emit, whose form may be kept for those to come.
    func usualPickle() -> UsualEmit? {
        guard let usual = UsualEmit(scan) else { return nil }
        scan.keepForm(texts: usual.texts, value: usual.data)
        if scan.hasKeptForm { keptPickle = usual }
        return usual
    }

    /// The same of JSON.
    func usualJSON() -> UsualEmit? {
        guard let usual = UsualEmit(jsonScan) else { return nil }
        jsonScan.keepForm(texts: usual.texts, value: usual.data)
        if jsonScan.hasKeptForm { keptJSON = usual }
        return usual
    }

    /// A usual emit for a room: what `Route` reads of it, without a value made of anything that the message before had too.
    func usualEmit(for room: UnsafeRawBufferPointer, _ dialect: Dialect) -> PubSubMessage {
        .emit(
            PubSubMessage.Emit(
                namespace: lastNamespace, rooms: roomNames.rooms(named: room), skip: [], callback: nil,
                hostID: lastHostID, dialect: dialect))
    }

    /// Reads where a scanned emit goes; nil for other methods, which act without `encodeEvent`, and where a route is more
    /// than text and numbers.
    func decodeScanned(
        _ payload: UnsafeRawBufferPointer, _ fields: MessageFields<PickleScan.Node>, includingOwn: Bool
    ) throws(PubSubMessageError) -> PubSubMessage? {
        func isScalar(_ node: PickleScan.Node?) -> Bool { node.map { scan.kind(of: $0) != nil } ?? true }
        guard let method = fields.method, scan.isText(method, equalTo: Route.emit), isScalar(fields.namespace),
            isScalar(fields.room), isScalar(fields.skipSID), isScalar(fields.callback), isScalar(fields.hostID)
        else { return nil }
        var route = Route(hostID: hostID, senderHostID: lastHostID, namespace: lastNamespace, dialect: .pickle)
        let message = try route.read(fields, of: scan, roomNames: roomNames, includingOwn: includingOwn)
        remember(route)
        if case .emit = message { content = .scanned(payload) }
        return message
    }

    /// The same of JSON.
    func decodeScannedJSON(
        _ payload: UnsafeRawBufferPointer, _ fields: MessageFields<JSONScan.Node>, includingOwn: Bool
    ) -> PubSubMessage? {
        func isScalar(_ node: JSONScan.Node?) -> Bool {
            switch node?.kind {
            case nil, .null, .bool, .plainText: true
            case .number, .array, .object, .otherText: false
            }
        }
        guard let method = fields.method, jsonScan.isText(method, equalTo: Route.emit), isScalar(fields.namespace),
            isScalar(fields.room), isScalar(fields.skipSID), isScalar(fields.callback), isScalar(fields.hostID),
            jsonScan.isUsual(fields.binary)
        else { return nil }
        let isList = fields.data?.kind == .array
        var route = Route(
            hostID: hostID, senderHostID: lastHostID, namespace: lastNamespace,
            dialect: Dialect(hasBinary: fields.binary != nil, isList: isList))
        // What is wrong is for the full parse to say.
        guard let message = try? route.read(fields, of: jsonScan, roomNames: roomNames, includingOwn: includingOwn)
        else { return nil }
        remember(route)
        guard case .emit(var emit) = message else { return message }
        emit.dialect = dialect(emit.dialect, of: emit.hostID)
        emit.callback?.dialect = emit.dialect
        content = .scannedJSON(payload, isArgumentList: emit.dialect == .json5_15_1)
        return .emit(emit)
    }
}
