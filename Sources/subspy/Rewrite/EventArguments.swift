import Bytes
import PickleCodec
import PubSubMessages

/// The arguments of an event, independent of the format that `data` has.
///
/// | arguments | pickle | JSON of 5.15.1 and later | JSON before |
/// |---|---|---|---|
/// | none | None | `[null]` | `null` |
/// | one | the value; a tuple of one where the value is itself None or a tuple | `[value]` | the value |
/// | several | a tuple | `[a, b]` | - |
///
/// In JSON with `binary`, `data` is a list: the value above with a placeholder for each bytes value, then the base64 of
/// each.
struct EventArguments {
    var values: [PickleValue]

    init(ofPickled data: PickleValue) {
        switch data {
        case .null: values = []
        case .tuple(let items): values = items
        default: values = [data]
        }
    }

    /// - Throws: for data that receivers refuse: a placeholder without its attachment, wrong base64.
    init(ofJSON data: PickleValue, isBinary: Bool, isArgumentList: Bool) throws {
        var structure = data
        if isBinary {
            guard case .list(let items) = data, let first = items.first else { throw Refusal("binary data is no list") }
            let attachments = try items.dropFirst().map { item -> [UInt8] in
                guard let text = item.textContent,
                    let bytes = Base64.decode(text.bytes.span, .strict)
                else {
                    throw Refusal("an attachment is no base64")
                }
                return bytes
            }
            structure = try Self.restore(first, attachments)
        }
        switch structure {
        case .null: values = []
        case .list(let items) where isArgumentList:
            if items.count == 1, case .null = items[0] { values = [] } else { values = items }
        default: values = [structure]
        }
    }

    /// The arguments of a message that an inspector has just read; nil for one without data.
    init?(of message: PickleDict, writtenAs inspection: MessageInspector.Inspection) throws {
        guard let data = message["data"] else { return nil }
        if case .pickle = inspection.format {
            self.init(ofPickled: data)
        } else {
            var isBinary = false
            if case .bool(true)? = message["binary"] { isBinary = true }
            try self.init(ofJSON: data, isBinary: isBinary, isArgumentList: inspection.summary.dialect == .json5_15_1)
        }
    }

    private static func restore(_ value: PickleValue, _ attachments: [[UInt8]]) throws -> PickleValue {
        switch value {
        case .list(let items): return .list(try items.map { try restore($0, attachments) })
        case .dict(let dict):
            if case .bool(true)? = dict["_placeholder"], case .int(let number)? = dict["num"] {
                guard attachments.indices.contains(number) else { throw Refusal("a placeholder has no attachment") }
                return .bytes(attachments[number])
            }
            return .dict(
                PickleDict(
                    try dict.pairs.map { PickleDict.Pair(key: $0.key, value: try restore($0.value, attachments)) }))
        default: return value
        }
    }

    /// `data` of a pickled message.
    var pickled: PickleValue {
        guard let only = values.first else { return .null }
        guard values.count == 1 else { return .tuple(values) }
        switch only {
        case .null, .tuple: return .tuple(values)
        default: return only
        }
    }
}
