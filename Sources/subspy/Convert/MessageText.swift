import Bytes
import JSONCodec
import PickleCodec
import PubSubMessages

/// Writes payloads as JSON with tags, and reads them again.
enum MessageText {
    /// Appends `,"format":"pickle","protocol":4,"message":{...}` for a payload; nothing for one that can't be read, and for
    /// values that JSON can't express.
    ///
    /// - Returns: false when nothing was appended.
    static func appendKeys(
        for payload: UnsafeRawBufferPointer, _ renderer: inout MessageRenderer, to writer: inout JSONWriter
    ) -> Bool {
        let before = writer.count
        switch unsafe renderer.reader.inspect(payload).format {
        case .json: writer.append(",\"format\":\"json\"")
        case .pickle:
            writer.append(",\"format\":\"pickle\",\"protocol\":")
            unsafe writer.appendInteger(Int64(PickleValue.protocolVersion(of: payload)))
        case .undecodable: return false
        }
        writer.append(",\"message\":")
        guard unsafe append(payload, &renderer, to: &writer) == nil else {
            writer.truncate(to: before)
            return false
        }
        return true
    }

    /// Appends the payload that was inspected last as JSON with tags.
    ///
    /// - Returns: why it can't be read back; nil when it can.
    static func append(
        _ payload: UnsafeRawBufferPointer, _ renderer: inout MessageRenderer, to writer: inout JSONWriter
    ) -> String? {
        unsafe renderer.prepare(for: payload)
        return renderer.appendJSON(to: &writer) ? renderer.refusal : renderer.tooLong
    }

    /// The payload of a line with these keys; without `format` it is JSON, without `protocol` a pickle of protocol 4.
    static func payload(
        of message: JSONDocument.Node, in line: JSONDocument.Node, _ document: borrowing JSONDocument
    ) throws -> [UInt8] {
        let value = try PickleValue(message, of: document, hasTags: true)
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

/// Writes Python values as `json.dumps` does by default: a space behind commas and colons, only ASCII, NaN bare.
enum PythonJSON {
    /// - Throws: for values that `json.dumps` refuses, and for tuples, of which it would make lists.
    static func append(_ value: PickleValue, to writer: inout JSONWriter) throws(Refusal) {
        switch value {
        case .null: writer.append("null")
        case .bool(let value): writer.append(value ? "true" : "false")
        case .int(let value): writer.appendInteger(Int64(value))
        case .bigInt(let value):
            unsafe value.twosComplement.withUnsafeBytes { unsafe writer.appendDecimal(twosComplement: $0) }
        case .float(let value): append(value, to: &writer)
        case .string, .surrogateString, .byteString: append(text: value.textContent ?? "", to: &writer)
        case .list(let items):
            writer.append("[")
            for (index, item) in items.enumerated() {
                if index > 0 { writer.append(", ") }
                try append(item, to: &writer)
            }
            writer.append("]")
        case .dict(let dict): try append(dict, to: &writer)
        case .tuple: throw refusal("tuple")
        case .set, .frozenset: throw refusal("set")
        case .bytes, .bytearray: throw refusal("bytes")
        case .global, .object, .persistentID: throw refusal("object of a class")
        }
    }

    private static func refusal(_ kind: String) -> Refusal {
        Refusal("JSON can't express this value: \(kind)")
    }

    private static func append(_ number: Double, to writer: inout JSONWriter) {
        if number.isFinite { return writer.appendFloat(number) }
        writer.append(number.isNaN ? "NaN" : number > 0 ? "Infinity" : "-Infinity")
    }

    private static func append(text: ByteString, to writer: inout JSONWriter) {
        unsafe text.withUnsafeBytes { unsafe writer.appendString(wtf8: $0) }
    }

    private static func append(_ dict: PickleDict, to writer: inout JSONWriter) throws(Refusal) {
        writer.append("{")
        for (index, pair) in dict.pairs.enumerated() {
            guard let key = pair.key.textContent else { throw refusal("a dict with other keys than texts") }
            if index > 0 { writer.append(", ") }
            append(text: key, to: &writer)
            writer.append(": ")
            try append(pair.value, to: &writer)
        }
        writer.append("}")
    }
}
