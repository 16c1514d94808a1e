import JSONCodec
import PickleCodec

/// Emits that are routed by their keys alone.
extension PubSubMessageDecoder {
    /// Reads where a scanned emit goes; nil for other methods, which act without `encodeEvent`, and where a route is more
    /// than text and numbers.
    func decodeScanned(
        _ payload: UnsafeRawBufferPointer, includingOwn: Bool
    ) throws(PubSubMessageError) -> PubSubMessage? {
        let fields = MessageFields(of: scan)
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
        _ payload: UnsafeRawBufferPointer, includingOwn: Bool
    ) -> PubSubMessage? {
        let fields = MessageFields(of: jsonScan)
        func isScalar(_ node: JSONScan.Node?) -> Bool {
            switch node?.kind {
            case nil, .null, .bool, .plainText: true
            case .number, .array, .object, .otherText: false
            }
        }
        guard let method = fields.method, jsonScan.isText(method, equalTo: Route.emit), isScalar(fields.namespace),
            isScalar(fields.room), isScalar(fields.skipSID), isScalar(fields.callback), isScalar(fields.hostID),
            isScalar(fields.binary), !(fields.binary.flatMap { jsonScan.bool($0) } ?? false),
            fields.binary?.kind != .plainText
        else { return nil }
        let isList = fields.data?.kind == .array
        var route = Route(
            hostID: hostID, senderHostID: lastHostID, namespace: lastNamespace,
            dialect: fields.binary == nil ? .json5_14_0 : isList ? .json5_15_1 : .json5_14_2)
        // What is wrong is for the full parse to say.
        guard let message = try? route.read(fields, of: jsonScan, roomNames: roomNames, includingOwn: includingOwn)
        else { return nil }
        remember(route)
        guard case .emit(var emit) = message else { return message }
        emit.dialect = dialect(of: emit, isList: isList)
        emit.callback?.dialect = emit.dialect
        content = .scannedJSON(payload, isArgumentList: emit.dialect == .json5_15_1)
        return .emit(emit)
    }
}
