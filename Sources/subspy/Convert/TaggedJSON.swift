import Bytes
import JSONCodec
import PickleCodec
import PubSubMessages

/// The Python values of JSON with tags, as ``JSONText`` writes it.
enum TaggedJSON {
    /// The Python value that a JSON value with tags stands for.
    static func value(
        _ node: JSONDocument.Node, of document: borrowing JSONDocument
    ) throws(Refusal) -> PickleValue {
        switch document.kind(of: node) {
        case .array: return .list(try items(of: node, document))
        case .object:
            if let tag = tag(of: node, document) { return try tagged(tag.name, tag.content, document) }
            var pairs: [PickleDict.Pair] = []
            for (key, value) in document.members(of: node) {
                let text = PickleValue.text(document.byteString(key) ?? "")
                pairs.append(PickleDict.Pair(key: text, value: try Self.value(value, of: document)))
            }
            return .dict(PickleDict(pairs))
        default: return PickleValue(node, of: document)
        }
    }

    /// The one key of an object, if it begins with `$`.
    private static func tag(
        of object: JSONDocument.Node, _ document: borrowing JSONDocument
    ) -> (name: String, content: JSONDocument.Node)? {
        var members = document.members(of: object)
        guard document.looksLikeTag(object), let (key, content) = members.next(), let name = document.byteString(key)
        else { return nil }
        return (name.text, content)
    }

    private static func tagged(
        _ name: String, _ content: JSONDocument.Node, _ document: borrowing JSONDocument
    ) throws(Refusal) -> PickleValue {
        switch name {
        case "$tuple": return .tuple(try items(of: content, document))
        case "$set": return .set(try items(of: content, document))
        case "$frozenset": return .frozenset(try items(of: content, document))
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
            for item in try items(of: content, document) {
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
        of node: JSONDocument.Node, _ document: borrowing JSONDocument
    ) throws(Refusal) -> [PickleValue] {
        guard document.kind(of: node) == .array else { throw Refusal("a tag for items takes a list") }
        var items: [PickleValue] = []
        for element in document.elements(of: node) { items.append(try value(element, of: document)) }
        return items
    }

    private static func bytes(
        of node: JSONDocument.Node, _ document: borrowing JSONDocument
    ) throws(Refusal) -> [UInt8] {
        guard let text = document.byteString(node), let bytes = text.withUnsafeBytes({ StrictBase64.decode($0) }) else {
            throw Refusal("a tag for bytes takes base64")
        }
        return bytes
    }
}
