import Bytes
import JSONCodec
import PickleCodec
import PubSubMessages

extension PickleValue {
    /// The Python value of a JSON value.
    ///
    /// - Parameter hasTags: reads the tags that ``JSONText`` writes. Without them it is the value that `json.loads` makes.
    init(_ node: JSONDocument.Node, of document: borrowing JSONDocument, hasTags: Bool = false) throws(Refusal) {
        switch document.kind(of: node) {
        case .null: self = .null
        case .bool: self = .bool(document.bool(node) ?? false)
        case .integer:
            if let value = document.int64(node) {
                self = .int(Int(value))
            } else {
                self = unsafe .bigInt(
                    PickleBigInt(twosComplement: DecimalInteger.twosComplement(document.source(of: node))))
            }
        case .float: self = .float(document.double(node) ?? 0)
        case .string: self = .text(document.byteString(node) ?? "")
        case .array: self = .list(try Self.items(of: node, document, hasTags: hasTags))
        case .object:
            if hasTags, let (name, content) = Self.tag(of: node, document) {
                self = try Self.tagged(name, content, document)
                return
            }
            var pairs: [PickleDict.Pair] = []
            for (key, value) in document.members(of: node) {
                let value = try PickleValue(value, of: document, hasTags: hasTags)
                pairs.append(PickleDict.Pair(key: .text(document.byteString(key) ?? ""), value: value))
            }
            self = .dict(PickleDict(pairs))
        }
    }

    /// The one key of an object, if it begins with `$`.
    private static func tag(
        of object: JSONDocument.Node, _ document: borrowing JSONDocument
    ) -> (name: String, content: JSONDocument.Node)? {
        var members = document.members(of: object)
        guard let (key, content) = members.next(), members.next() == nil, let name = document.byteString(key),
            name.bytes.first == UInt8(ascii: "$")
        else { return nil }
        return (name.text, content)
    }

    private static func tagged(
        _ name: String, _ content: JSONDocument.Node, _ document: borrowing JSONDocument
    ) throws(Refusal) -> PickleValue {
        switch name {
        case "$tuple": return .tuple(try items(of: content, document, hasTags: true))
        case "$set": return .set(try items(of: content, document, hasTags: true))
        case "$frozenset": return .frozenset(try items(of: content, document, hasTags: true))
        case "$bytes": return .bytes(try bytes(of: content, document))
        case "$bytearray": return .bytearray(try bytes(of: content, document))
        case "$str2": return .byteString(try bytes(of: content, document))
        case "$float":
            switch document.byteString(content)?.text {
            case "nan": return .float(.nan)
            case "inf": return .float(.infinity)
            case "-inf": return .float(-.infinity)
            default: throw Refusal("$float is one of \"nan\", \"inf\", \"-inf\"")
            }
        case "$dict":
            var pairs: [PickleDict.Pair] = []
            for item in try items(of: content, document, hasTags: true) {
                guard case .list(let pair) = item, pair.count == 2 else {
                    throw Refusal("$dict is a list of pairs")
                }
                pairs.append(PickleDict.Pair(key: pair[0], value: pair[1]))
            }
            return .dict(PickleDict(pairs))
        default:
            throw Refusal(
                "\(name) is no tag; an object with this one key is written {\"$dict\": [[key, value]]}")
        }
    }

    private static func items(
        of node: JSONDocument.Node, _ document: borrowing JSONDocument, hasTags: Bool
    ) throws(Refusal) -> [PickleValue] {
        guard document.kind(of: node) == .array else { throw Refusal("a tag for items takes a list") }
        var items: [PickleValue] = []
        for element in document.elements(of: node) {
            items.append(try PickleValue(element, of: document, hasTags: hasTags))
        }
        return items
    }

    private static func bytes(
        of node: JSONDocument.Node, _ document: borrowing JSONDocument
    ) throws(Refusal) -> [UInt8] {
        guard let text = document.byteString(node),
            let bytes = Base64.decode(text.bytes.span, .strict)
        else {
            throw Refusal("a tag for bytes takes base64")
        }
        return bytes
    }
}
