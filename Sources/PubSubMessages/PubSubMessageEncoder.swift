import Bytes
import JSONCodec
import PickleCodec

/// Writes what this process publishes, in python-socketio's order of keys.
///
/// Every receiver from 1.8.4 on reads JSON: up to 5.13 as its second try, from 5.14 on as the only format.
package enum PubSubMessageEncoder {
    /// An emit from an HTTP body: `event`, `data` and `namespace` of the document's root.
    ///
    /// A missing or empty namespace is `/`, as Flask-SocketIO does it.
    ///
    /// - Parameters:
    ///   - room: a text or a list of texts of the document; nil for everybody.
    ///   - keep: a value of `keep` of the document; nil if the message says nothing.
    ///   - key: a text of the document, the `key`.
    package static func emit(
        _ document: borrowing JSONDocument, room: JSONDocument.Node?, keep: JSONDocument.Node? = nil,
        key: JSONDocument.Node? = nil, hostID: ByteString
    ) -> [UInt8] {
        let root = document.root
        var writer = JSONWriter()
        writer.append("{\"method\":\"emit\",\"event\":")
        write(document.value(forKey: "event", in: root), of: document, to: &writer)
        writer.append(",\"data\":")
        if let data = document.value(forKey: "data", in: root) {
            writer.appendData(data, of: document)
        } else {
            writer.append("null")
        }
        writer.append(",\"namespace\":")
        if let namespace = document.value(forKey: "namespace", in: root), document.isTruthy(namespace) {
            document.write(namespace, to: &writer)
        } else {
            writer.append("\"/\"")
        }
        writer.append(",\"room\":")
        write(room, of: document, to: &writer)
        if let keep {
            writer.append(",\"keep\":")
            document.write(keep, to: &writer)
        }
        if let key {
            writer.append(",\"key\":")
            document.write(key, to: &writer)
        }
        writer.append(",\"skip_sid\":null,\"callback\":null,\"host_id\":")
        unsafe hostID.withUnsafeBytes { unsafe writer.appendString(wtf8: $0) }
        writer.append("}")
        return writer.copyBytes()
    }

    /// The format of our emits (`--publish`). Only lists in `data` are written in different ways: every release reads
    /// other bare data alike.
    package enum Format: String, CaseIterable, Sendable {
        /// JSON, a list as the one argument in 5.15.1's list of arguments.
        case json
        /// JSON, a list bare: what 5.14.0 to 5.15.0 and, as their second try, all before read as one argument.
        case bareJSON
        /// A pickle of protocol 2, which receivers up to 5.13 read, on Python 2 too, and no later ones.
        case pickle
    }

    /// An emit in another format.
    ///
    /// - Parameter payload: what `emit` has made.
    package static func emit(_ payload: [UInt8], as format: Format) -> [UInt8] {
        guard format != .json else { return payload }
        return unsafe payload.withUnsafeBytes { bytes in
            var document = JSONDocument()
            // What we have written ourselves can be read.
            guard unsafe (try? document.parse(bytes)) != nil else { return payload }
            return format == .pickle ? pickled(document) : bare(document) ?? payload
        }
    }

    /// Nil when it is bare already.
    private static func bare(_ document: borrowing JSONDocument) -> [UInt8]? {
        guard let data = wrappedData(of: document) else { return nil }
        var writer = JSONWriter()
        var separator: StaticString = "{"
        for (key, value) in document.members(of: document.root) where document.byteString(key) != "binary" {
            writer.append(separator)
            separator = ","
            document.write(key, to: &writer)
            writer.append(":")
            document.write(document.byteString(key) == "data" ? data : value, to: &writer)
        }
        writer.append("}")
        return writer.copyBytes()
    }

    private static func pickled(_ document: borrowing JSONDocument) -> [UInt8] {
        let wrapped = wrappedData(of: document)
        var writer = PickleWriter(version: 2)
        writer.beginDict()
        for (key, value) in document.members(of: document.root) {
            guard let name = document.byteString(key), name != "binary" else { continue }
            writer.appendText(name)
            writer.append(name == "data" ? wrapped ?? value : value, of: document)
        }
        writer.endDict()
        writer.finish()
        return writer.copyBytes()
    }

    /// The one argument in the list of arguments; nil where `data` is bare.
    private static func wrappedData(of document: borrowing JSONDocument) -> JSONDocument.Node? {
        guard document.value(forKey: "binary", in: document.root) != nil,
            let data = document.value(forKey: "data", in: document.root)
        else { return nil }
        return document.elements(of: data).first { _ in true }
    }

    /// True if a payload is one that any ws-emit publishes for itself or for the others, such as a canary, recognised by its
    /// beginning.
    package static func isBetweenServers(_ payload: Span<UInt8>) -> Bool {
        startBetweenServers.withUTF8Buffer { start in unsafe payload.withUnsafeBytes { unsafe $0.starts(with: start) } }
    }

    private static let startBetweenServers: StaticString = "{\"method\":\"ws-emit-"

    /// A message of this process to itself: `{"method":"ws-emit-canary","id":17,"host_id":"…"}`.
    package static func canary(id: Int64, hostID: ByteString) -> [UInt8] {
        var writer = JSONWriter()
        writer.append("{\"method\":")
        unsafe ByteString(PubSubMessage.canaryMethod).withUnsafeBytes { unsafe writer.appendString(wtf8: $0) }
        writer.append(",\"id\":")
        writer.appendInteger(id)
        writer.append(",\"host_id\":")
        unsafe hostID.withUnsafeBytes { unsafe writer.appendString(wtf8: $0) }
        writer.append("}")
        return writer.copyBytes()
    }

    /// `{"method":"ws-emit-kept-request","host_id":"…","id":17}`, ``PubSubMessage/keptRequest(host:id:)``.
    package static func keptRequest(host: ByteString, id: Int64) -> [UInt8] {
        OutgoingMessage.aboutKeptValues(PubSubMessage.keptRequestMethod, host: host, id: id).json()
    }

    /// `{"method":"ws-emit-kept-stored","host_id":"…","for":"…","id":17}`, ``PubSubMessage/keptStored(host:for:id:)``.
    package static func keptStored(host: ByteString, for requester: ByteString, id: Int64) -> [UInt8] {
        OutgoingMessage.aboutKeptValues(PubSubMessage.keptStoredMethod, host: host, for: requester, id: id).json()
    }

    /// A client's ack of an emit of another process.
    ///
    /// - Parameters:
    ///   - address: the emit's `callback`, sent back unchanged.
    ///   - arguments: the JSON array of the ack, with placeholders for bytes.
    ///   - attachments: the bytes. Only a sender that reads pickles can be sent any.
    package static func callback(
        to address: CallbackAddress, arguments: [UInt8], attachments: [[UInt8]] = []
    ) throws(PubSubMessageError) -> [UInt8] {
        let result: Result<[UInt8], PubSubMessageError> = unsafe arguments.withUnsafeBytes { bytes in
            do throws(PubSubMessageError) {
                return unsafe .success(try callback(to: address, arguments: bytes, attachments: attachments))
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
            try unsafe document.parse(arguments)
        } catch {
            throw PubSubMessageError(.badArguments(error), hostID: address.hostID)
        }
        guard document.kind(of: document.root) == .array else {
            let error = unsafe JSONError(.unexpectedByte(arguments.first ?? 0, expected: .value), at: 0)
            throw PubSubMessageError(.badArguments(error), hostID: address.hostID)
        }
        let message = OutgoingMessage.callback(to: address)
        guard !attachments.isEmpty else { return message.json { document.write(document.root, to: &$0) } }
        guard address.dialect == .pickle else { throw PubSubMessageError(.binaryAck, hostID: address.hostID) }
        // Every emitter that reads pickles reads protocol 2, on Python 2 too. python-socketio writes arguments as a tuple.
        var isComplete = true
        let pickle = message.pickle(version: 2) { writer in
            writer.beginTuple()
            for argument in document.elements(of: document.root)
            where !writer.append(argument, of: document, attachments: attachments) {
                isComplete = false
            }
            writer.endTuple()
        }
        guard isComplete else { throw PubSubMessageError(.placeholderOutOfRange, hostID: address.hostID) }
        return pickle
    }

    private static func write(
        _ node: JSONDocument.Node?, of document: borrowing JSONDocument, to writer: inout JSONWriter
    ) {
        if let node { document.write(node, to: &writer) } else { writer.append("null") }
    }
}
