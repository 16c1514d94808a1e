import JSONCodec
import PickleCodec
import PubSubMessages

/// Writes a payload as JSON with tags, after the format it had, and reads it again:
/// `"form":"pickle","protocol":4,"message":{...}`.
struct MessageText: ~Copyable {
    private var renderer = MessageRenderer()

    /// Appends these keys; false for a payload that can't be read, and for values that JSON can't express.
    mutating func appendKeys(
        for payload: UnsafeRawBufferPointer, by inspector: MessageInspector, to writer: inout JSONWriter
    ) -> Bool {
        let before = writer.count
        let form = inspector.inspect(payload).form
        switch form {
        case .json: writer.append(",\"form\":\"json\"")
        case .pickle:
            writer.append(",\"form\":\"pickle\",\"protocol\":")
            writer.appendInteger(Int64(PickleValue.protocolVersion(of: payload)))
        case .undecodable: return false
        }
        writer.append(",\"message\":")
        guard append(payload, form, of: inspector, to: &writer) == nil else {
            writer.truncate(to: before)
            return false
        }
        return true
    }

    /// Appends the payload that was inspected last as JSON with tags.
    ///
    /// - Returns: why it can't be read back; nil when it can.
    mutating func append(
        _ payload: UnsafeRawBufferPointer, _ form: MessageInspector.Form, of inspector: MessageInspector,
        to writer: inout JSONWriter
    ) -> String? {
        renderer.prepare(for: payload)
        guard renderer.appendJSON(nil, form, of: inspector, to: &writer) else { return renderer.tooLong }
        return renderer.refusal
    }

    /// The payload of a line with these keys; without form or protocol it is JSON, or a pickle of protocol 4.
    static func payload(
        of message: JSONDocument.Node, in line: JSONDocument.Node, _ document: borrowing JSONDocument
    ) throws -> [UInt8] {
        let value = try TaggedJSON.value(message, of: document)
        guard let form = document.value(forKey: "form", in: line) else { return try payload(of: value, as: .json) }
        if document.isString(form, equalTo: "json") { return try payload(of: value, as: .json) }
        guard document.isString(form, equalTo: "pickle") else {
            throw Refusal("the form is json or pickle")
        }
        var version = Defaults.convertedPickleProtocol
        if let node = document.value(forKey: "protocol", in: line) {
            guard let number = document.int64(node), 0...5 ~= number else {
                throw Refusal("the protocol is 0 to 5")
            }
            version = Int(number)
        }
        return try payload(of: value, as: .pickle(version: version))
    }

    /// Writes a value as `pickle.dumps` or `json.dumps` does.
    static func payload(of value: PickleValue, as encoding: MessageEncoding) throws -> [UInt8] {
        switch encoding {
        case .pickle(let version): return try value.encoded(protocolVersion: version)
        case .json:
            var writer = JSONWriter()
            try PythonJSON.append(value, to: &writer)
            return writer.copyBytes()
        }
    }
}
