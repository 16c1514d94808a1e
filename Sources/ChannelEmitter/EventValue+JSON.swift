import JSONCodec
import OrderedCollections

extension EventValue {
    /// The value of a JSON text. Keys keep their order; an integer beyond 64 bits is rounded to a double, as in JavaScript.
    ///
    /// - Throws: ``EmitterError`` with code `invalidMessage`, which names the wrong byte.
    public init(json: String) throws(EmitterError) {
        var document = JSONDocument(limits: JSONLimits(maximumDepth: Emitter.maximumDepth))
        let result: Result<EventValue, JSONError> = unsafe Array(json.utf8).withUnsafeBytes { bytes in
            do throws(JSONError) { try unsafe document.parse(bytes) } catch { return .failure(error) }
            return .success(EventValue(document.root, of: document))
        }
        switch result {
        case .success(let value): self = value
        case .failure(let error): throw EmitterError(.invalidMessage, "\(error)")
        }
    }

    private init(_ node: JSONDocument.Node, of document: borrowing JSONDocument) {
        switch document.kind(of: node) {
        case .null: self = .null
        case .bool: self = .bool(document.bool(node) ?? false)
        case .integer: self = document.int64(node).map { .int(Int($0)) } ?? .double(document.double(node) ?? 0)
        case .float: self = .double(document.double(node) ?? 0)
        case .string: self = .string(Self.text(node, of: document))
        case .array:
            var items: [EventValue] = []
            for element in document.elements(of: node) { items.append(EventValue(element, of: document)) }
            self = .array(items)
        case .object:
            var members: OrderedDictionary<String, EventValue> = [:]
            for (key, value) in document.members(of: node) {
                members[Self.text(key, of: document)] = EventValue(value, of: document)
            }
            self = .object(members)
        }
    }

    private static func text(_ node: JSONDocument.Node, of document: borrowing JSONDocument) -> String {
        String(decoding: document.byteString(node)?.bytes ?? [], as: UTF8.self)
    }
}
