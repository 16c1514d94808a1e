import JSONCodec

/// Writes what this process publishes, as JSON text in python-socketio's order of keys.
///
/// Every receiver from 1.8.4 on reads JSON: up to 5.13 as its second try, from 5.14 on as the only form.
package enum PubSubMessageEncoder {
    /// An emit from an HTTP body: `event`, `data`, `namespace` and `room` of the document's root.
    ///
    /// `data` stays bare, which all receivers take for one argument, unless it is a list: those of 5.15.1 and later
    /// would spread it, so that it is wrapped as they write it, with the `binary` key that tells the form. A missing
    /// namespace is `/`, a falsy room everybody, as Flask-SocketIO does it.
    package static func emit(_ document: borrowing JSONDocument, hostID: ByteString) -> [UInt8] {
        let root = document.root
        var writer = JSONWriter()
        writer.append("{\"method\":\"emit\",\"event\":")
        write(document.value(forKey: "event", in: root), of: document, to: &writer)
        writer.append(",\"data\":")
        let data = document.value(forKey: "data", in: root)
        if let data, document.kind(of: data) == .array {
            writer.append("[")
            document.write(data, to: &writer)
            writer.append("],\"binary\":false")
        } else {
            write(data, of: document, to: &writer)
        }
        writer.append(",\"namespace\":")
        if let namespace = document.value(forKey: "namespace", in: root), document.isTruthy(namespace) {
            document.write(namespace, to: &writer)
        } else {
            writer.append("\"/\"")
        }
        writer.append(",\"room\":")
        let room = document.value(forKey: "room", in: root)
        write(room.flatMap { document.isTruthy($0) ? $0 : nil }, of: document, to: &writer)
        writer.append(",\"skip_sid\":null,\"callback\":null,\"host_id\":")
        hostID.withUnsafeBytes { writer.appendString(wtf8: $0) }
        writer.append("}")
        return writer.copyBytes()
    }

    /// A client's answer to an emit of another process.
    ///
    /// - Parameters:
    ///   - address: the emit's `callback`, echoed.
    ///   - arguments: the JSON array of the answer, with placeholders where bytes stood.
    ///   - attachments: those bytes. Only a sender that reads pickles can be sent any.
    package static func callback(
        to address: CallbackAddress, arguments: [UInt8], attachments: [[UInt8]] = []
    ) throws(PubSubMessageError) -> [UInt8] {
        let result: Result<[UInt8], PubSubMessageError> = arguments.withUnsafeBytes { bytes in
            do throws(PubSubMessageError) {
                return .success(try callback(to: address, arguments: bytes, attachments: attachments))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private static func callback(
        to address: CallbackAddress, arguments: UnsafeRawBufferPointer, attachments: [[UInt8]]
    ) throws(PubSubMessageError) -> [UInt8] {
        var document = JSONDocument()
        do throws(JSONError) {
            try document.parse(arguments)
        } catch {
            throw PubSubMessageError(.badArguments(error), hostID: address.hostID)
        }
        guard document.kind(of: document.root) == .array else {
            let error = JSONError(.unexpectedByte(arguments.first ?? 0, expected: .value), at: 0)
            throw PubSubMessageError(.badArguments(error), hostID: address.hostID)
        }
        guard !attachments.isEmpty else { return callback(to: address, arguments: document) }
        guard address.dialect == .pickle else { throw PubSubMessageError(.binaryAnswer, hostID: address.hostID) }
        return try PickledCallback.encode(address, arguments: document, attachments: attachments)
    }

    private static func callback(to address: CallbackAddress, arguments: borrowing JSONDocument) -> [UInt8] {
        var writer = JSONWriter()
        writer.append("{\"method\":\"callback\",\"host_id\":")
        write(address.hostID.map { .text($0) } ?? .none, to: &writer)
        writer.append(",\"sid\":")
        write(address.room, to: &writer)
        writer.append(",\"namespace\":")
        write(address.namespace, to: &writer)
        writer.append(",\"id\":")
        write(address.id, to: &writer)
        writer.append(",\"args\":")
        arguments.write(arguments.root, to: &writer)
        writer.append("}")
        return writer.copyBytes()
    }

    private static func write(
        _ node: JSONDocument.Node?, of document: borrowing JSONDocument, to writer: inout JSONWriter
    ) {
        if let node { document.write(node, to: &writer) } else { writer.append("null") }
    }

    private static func write(_ value: CallbackAddress.RouteValue, to writer: inout JSONWriter) {
        switch value {
        case .none: writer.append("null")
        case .bool(let bool): if bool { writer.append("true") } else { writer.append("false") }
        case .integer(let integer): writer.appendInteger(integer)
        case .float(let float): writer.appendFloat(float)
        case .text(let text): text.withUnsafeBytes { writer.appendString(wtf8: $0) }
        case .list(let values), .tuple(let values):
            writer.append("[")
            for (index, value) in values.enumerated() {
                if index > 0 { writer.append(",") }
                write(value, to: &writer)
            }
            writer.append("]")
        }
    }
}
