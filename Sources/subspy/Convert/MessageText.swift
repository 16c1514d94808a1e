import Bytes
import JSONCodec
import PickleCodec
import PubSubMessages

/// Writes a payload as JSON with tags, after the format it had, and reads it again:
/// `"format":"pickle","protocol":4,"message":{...}`.
struct MessageText: ~Copyable {
    private var renderer = MessageRenderer()

    /// Appends these keys; false for a payload that can't be read, and for values that JSON can't express.
    mutating func appendKeys(
        for payload: UnsafeRawBufferPointer, by inspector: MessageInspector, to writer: inout JSONWriter
    ) -> Bool {
        let before = writer.count
        let format = inspector.inspect(payload).format
        switch format {
        case .json: writer.append(",\"format\":\"json\"")
        case .pickle:
            writer.append(",\"format\":\"pickle\",\"protocol\":")
            writer.appendInteger(Int64(PickleValue.protocolVersion(of: payload)))
        case .undecodable: return false
        }
        writer.append(",\"message\":")
        guard append(payload, format, of: inspector, to: &writer) == nil else {
            writer.truncate(to: before)
            return false
        }
        return true
    }

    /// Appends the payload that was inspected last as JSON with tags.
    ///
    /// - Returns: why it can't be read back; nil when it can.
    mutating func append(
        _ payload: UnsafeRawBufferPointer, _ format: MessageInspector.Format, of inspector: MessageInspector,
        to writer: inout JSONWriter
    ) -> String? {
        renderer.prepare(for: payload)
        guard renderer.appendJSON(nil, format, of: inspector, to: &writer) else { return renderer.tooLong }
        return renderer.refusal
    }

    /// The payload of a line with these keys; without `format` it is JSON, without `protocol` a pickle of protocol 4.
    static func payload(
        of message: JSONDocument.Node, in line: JSONDocument.Node, _ document: borrowing JSONDocument
    ) throws -> [UInt8] {
        let value = try TaggedJSON.value(message, of: document)
        guard let format = document.value(forKey: "format", in: line) else { return try payload(of: value, as: .json) }
        if document.isString(format, equalTo: "json") { return try payload(of: value, as: .json) }
        guard document.isString(format, equalTo: "pickle") else {
            throw Refusal("format is json or pickle")
        }
        var version = Defaults.convertedPickleProtocol
        if let node = document.value(forKey: "protocol", in: line) {
            guard let number = document.int64(node), 0...5 ~= number else {
                throw Refusal("protocol is 0 to 5")
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
