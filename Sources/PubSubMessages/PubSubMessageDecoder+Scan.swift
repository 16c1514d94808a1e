import JSONCodec
import PickleCodec

/// Emits that are routed by their keys alone.
extension PubSubMessageDecoder {
    /// The room of an emit that differs from the one before by nothing else: the rules of `Route` for it, without a value
    /// made of anything. Nil for all others.
    @inline(__always) func usualRoom<Document: MessageDocument & ~Copyable>(
        _ fields: MessageFields<Document.Node>, of document: borrowing Document
    ) -> UnsafeRawBufferPointer? {
        guard let method = fields.method.flatMap({ document.plainText($0) }), Route.emit.hasBytes(method),
            fields.event != nil, fields.data != nil,
            let host = fields.hostID.flatMap({ document.plainText($0) }), !isLastHostOwn, lastHostID.hasBytes(host),
            let namespace = fields.namespace.flatMap({ document.plainText($0) }), lastNamespace.hasBytes(namespace),
            fields.skipSID.map({ document.isNone($0) }) ?? true, fields.callback.map({ document.isNone($0) }) ?? true,
            let room = fields.room
        else { return nil }
        return document.plainText(room)
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
