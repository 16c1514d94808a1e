import Bytes
import JSONCodec
import PickleCodec

extension PubSubMessageDecoder {
    /// Writes the event of the last emit decoded: its name and its arguments, which are made of `data` as python-socketio's
    /// receivers do it.
    ///
    /// | `data` | arguments |
    /// |---|---|
    /// | None | none |
    /// | tuple (pickle), argument list (JSON of 5.15.1 and later) | its members; `[null]` is none |
    /// | anything else | one |
    ///
    /// Bytes anywhere in them become placeholders and attachments. The payload must still be valid.
    ///
    /// - Throws: an error for values without a JSON form, and for attachments that are missing or aren't base64.
    package func encodeEvent() throws(PubSubMessageError) -> EventBody {
        EventBody(try encodeEventInPlace())
    }

    /// Writes the event likewise, without copying it from the decoder's buffer.
    package func encodeEventInPlace() throws(PubSubMessageError) -> EncodedEvent {
        unsafe writer.removeAll()
        switch content {
        case .none: throw PubSubMessageError(.nothingDecoded)
        case .located(let payload, let isArgumentList):
            if unsafe fastLane.writeEvent(isArgumentList: isArgumentList, to: &writer) {
                return unsafe EncodedEvent(json: writer.withUnsafeBytes { unsafe $0 }, attachments: [])
            }
            let sender = senderHostID
            do throws(PubSubMessageError) { _ = try unsafe decodeWhole(payload, includingOwn: true) } catch {
                throw PubSubMessageError(error.cause, hostID: error.hostID ?? sender)
            }
            return try encodeEventInPlace()
        case .pickle(let event, let data): return try encodePickle(event: event, data: data)
        case .json(let event, let data, let isBinary, let isArgumentList):
            return try encodeJSON(event: event, data: data, isBinary: isBinary, isArgumentList: isArgumentList)
        }
    }

    private func encodePickle(
        event: PickleDocument.Node, data: PickleDocument.Node
    ) throws(PubSubMessageError) -> EncodedEvent {
        var attachments: [PickleDocument.Node] = []
        var policy = PickleJSONPolicy()
        policy.maximumOutputBytes = limits.maximumOutputBytes
        // Python 3 receivers refuse the whole message if a Python 2 str isn't ASCII. Its bytes are mostly UTF-8. Other
        // encodings are an error, since a guess could deliver garbage.
        policy.python2Text = .utf8
        do throws(PickleJSONError) {
            unsafe writer.append(UInt8(ascii: "["))
            try unsafe pickle.writeJSON(event, to: &writer, attachments: &attachments, policy: policy)
            if var arguments = pickle.tupleElements(of: data) {
                while let argument = arguments.next(in: pickle) {
                    unsafe writer.append(UInt8(ascii: ","))
                    try unsafe pickle.writeJSON(argument, to: &writer, attachments: &attachments, policy: policy)
                }
            } else if pickle.kind(of: data) != .none {
                unsafe writer.append(UInt8(ascii: ","))
                try unsafe pickle.writeJSON(data, to: &writer, attachments: &attachments, policy: policy)
            }
            unsafe writer.append(UInt8(ascii: "]"))
        } catch {
            throw PubSubMessageError(.unserializable(error), hostID: senderHostID)
        }
        note(attachments: attachments.count)
        return unsafe EncodedEvent(
            json: writer.withUnsafeBytes { unsafe $0 },
            attachments: attachments.map { node in unsafe pickle.bytes(of: node).map(Array.init) ?? [] })
    }

    private func encodeJSON(
        event: JSONDocument.Node, data: JSONDocument.Node, isBinary: Bool, isArgumentList: Bool
    ) throws(PubSubMessageError) -> EncodedEvent {
        var structure = data
        var received: [[UInt8]] = []
        if isBinary {
            var elements = json.elements(of: data)
            guard let first = elements.next() else {
                throw PubSubMessageError(.binaryWithoutAttachments, hostID: senderHostID)
            }
            structure = first
            while let element = elements.next() { received.append(try attachment(element)) }
        }
        var placeholders = PlaceholderWriter(received: received)
        unsafe writer.append(UInt8(ascii: "["))
        unsafe json.write(event, to: &writer)
        for argument in arguments(of: structure, isArgumentList: isArgumentList) {
            unsafe writer.append(UInt8(ascii: ","))
            if isBinary {
                unsafe json.write(argument, to: &writer, substituting: &placeholders)
            } else {
                unsafe json.write(argument, to: &writer)
            }
        }
        unsafe writer.append(UInt8(ascii: "]"))
        note(attachments: placeholders.sent.count)
        if placeholders.isOutOfRange { throw PubSubMessageError(.placeholderOutOfRange, hostID: senderHostID) }
        return unsafe EncodedEvent(json: writer.withUnsafeBytes { unsafe $0 }, attachments: placeholders.sent)
    }

    private func arguments(of data: JSONDocument.Node, isArgumentList: Bool) -> JSONArguments {
        if isArgumentList, json.kind(of: data) == .array {
            var elements = json.elements(of: data)
            if let only = elements.next(), elements.next() == nil {
                return json.kind(of: only) == .null ? .none : .one(only)
            }
            return .these(json.elements(of: data))
        }
        return json.kind(of: data) == .null ? .none : .one(data)
    }

    private func attachment(_ node: JSONDocument.Node) throws(PubSubMessageError) -> [UInt8] {
        let decoded: [UInt8]??
        if let content = unsafe json.unescapedContent(of: node) {
            decoded = unsafe Base64.decode(content.assumingMemoryBound(to: UInt8.self).span, .python)
        } else {
            decoded = json.byteString(node).map { Base64.decode($0.bytes.span, .python) }
        }
        guard let decoded else { throw PubSubMessageError(.attachmentNotText, hostID: senderHostID) }
        guard let bytes = decoded else { throw PubSubMessageError(.attachmentNotBase64, hostID: senderHostID) }
        return bytes
    }
}

/// The arguments of an event, without an array.
private enum JSONArguments: Sequence, IteratorProtocol {
    case none
    case one(JSONDocument.Node)
    case these(JSONDocument.Elements)

    mutating func next() -> JSONDocument.Node? {
        switch self {
        case .none: return nil
        case .one(let node):
            self = .none
            return node
        case .these(var elements):
            let node = elements.next()
            self = .these(elements)
            return node
        }
    }
}

/// Numbers placeholders in the order of the packet and collects their attachments. As in the receivers, an attachment
/// that is named twice is sent twice, and one that isn't named isn't sent.
private struct PlaceholderWriter: JSONSubstitution {
    let received: [[UInt8]]
    var sent: [[UInt8]] = []
    var isOutOfRange = false

    init(received: [[UInt8]]) {
        self.received = received
    }

    /// Replaces a dict with a truthy `_placeholder` and a `num`, even if the application wrote it.
    mutating func substitute(
        _ object: JSONDocument.Node, in document: borrowing JSONDocument, to writer: inout JSONWriter
    ) -> Bool {
        guard let number = document.placeholderNumber(object) else { return false }
        writer.append("{\"_placeholder\":true,\"num\":")
        writer.appendInteger(Int64(sent.count))
        writer.append(UInt8(ascii: "}"))
        // Negative indices count from the end in Python.
        let index = number < 0 ? number &+ Int64(received.count) : number
        if index >= 0, index < received.count {
            sent.append(received[Int(index)])
        } else {
            isOutOfRange = true
        }
        return true
    }
}
