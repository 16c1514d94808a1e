import Bytes
import PickleCodec

/// Writes Python values as `json.dumps` does by default: a space behind commas and colons, only ASCII, NaN bare.
enum PythonJSON {
    /// - Throws: for values that `json.dumps` refuses, and for tuples, of which it would make lists.
    static func append(_ value: PickleValue, to writer: inout JSONWriter) throws(Refusal) {
        switch value {
        case .null: writer.append("null")
        case .bool(let value): writer.append(value ? "true" : "false")
        case .int(let value): writer.appendInteger(Int64(value))
        case .bigInt(let value): value.twosComplement.withUnsafeBytes { writer.appendDecimal(twosComplement: $0) }
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
        text.withUnsafeBytes { writer.appendString(wtf8: $0) }
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
