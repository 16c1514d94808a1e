import Bytes
import JSONCodec
import PickleCodec

/// A parsed payload as routing reads it, so that the same rules apply to a pickle and a JSON text.
///
/// Generic code over it is specialised for both; nothing is boxed.
protocol MessageDocument: ~Copyable {
    associatedtype Node
    associatedtype Items
    associatedtype Pairs

    var root: Node { get }
    func shape(of node: Node) -> MessageShape
    /// The content of a text; nil for everything else.
    func text(_ node: Node) -> ByteString?
    func isText(_ node: Node, equalTo bytes: ByteString) -> Bool
    /// The content of a text where it stands, without escapes; nil for everything else.
    func unescapedText(_ node: Node) -> UnsafeRawBufferPointer?
    /// The key of a message that the text names; nil for unknown keys.
    func key(_ node: Node) -> MessageKey?
    func int64(_ node: Node) -> Int64?
    func double(_ node: Node) -> Double?
    func bool(_ node: Node) -> Bool?
    /// Items of a list or tuple.
    func items(of node: Node) -> Items
    func next(_ items: inout Items) -> Node?
    /// Pairs of a dict, each key once with its last value.
    func keysAndValues(of node: Node) -> Pairs
    func next(_ pairs: inout Pairs) -> (key: Node, value: Node)?
}

extension MessageDocument where Self: ~Copyable {
    func isNone(_ node: Node) -> Bool { shape(of: node) == .none }
}

/// The kind of a value, as the routing rules distinguish it.
enum MessageShape {
    case none, bool, integer, float, text, list, tuple, dictionary
    /// bytes: hashable in Python and so a legal room, but no client is in it.
    case bytes
    case other
}

/// The keys of messages.
enum MessageKey {
    case method, event, data, binary, namespace, room, skipSID, callback, hostID, sid, id, args, keep, key

    init?(_ bytes: UnsafeRawBufferPointer) {
        // Compares words instead of bytes, since every message has nine keys.
        func matches(_ literal: StaticString) -> Bool {
            let key = unsafe UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount)
            guard key.count == bytes.count else { return false }
            guard key.count >= 4 else { return unsafe key.elementsEqual(bytes) }
            return unsafe Self.word(key, 0) == Self.word(bytes, 0)
                && Self.word(key, key.count &- 4) == Self.word(bytes, key.count &- 4)
                && (key.count <= 8 || Self.word(key, 4) == Self.word(bytes, 4))
        }
        switch bytes.count {
        case 2 where matches("id"): self = .id
        case 3 where matches("sid"): self = .sid
        case 3 where matches("key"): self = .key
        case 4 where matches("data"): self = .data
        case 4 where matches("room"): self = .room
        case 4 where matches("args"): self = .args
        case 4 where matches("keep"): self = .keep
        case 5 where matches("event"): self = .event
        case 6 where matches("method"): self = .method
        case 6 where matches("binary"): self = .binary
        case 7 where matches("host_id"): self = .hostID
        case 8 where matches("skip_sid"): self = .skipSID
        case 8 where matches("callback"): self = .callback
        case 9 where matches("namespace"): self = .namespace
        default: return nil
        }
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
        unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    }
}

/// The values of a message by key; nil for keys that are missing.
struct MessageFields<Node> {
    var method: Node?
    var event: Node?
    var data: Node?
    var binary: Node?
    var namespace: Node?
    var room: Node?
    var skipSID: Node?
    var callback: Node?
    var hostID: Node?
    var sid: Node?
    var id: Node?
    var args: Node?
    var keep: Node?
    var key: Node?

    /// Reads all pairs once and skips unknown keys.
    init<Document: MessageDocument & ~Copyable>(of document: borrowing Document) where Document.Node == Node {
        var pairs = document.keysAndValues(of: document.root)
        while let (key, value) = document.next(&pairs) {
            switch document.key(key) {
            case .method: method = value
            case .event: event = value
            case .data: data = value
            case .binary: binary = value
            case .namespace: namespace = value
            case .room: room = value
            case .skipSID: skipSID = value
            case .callback: callback = value
            case .hostID: hostID = value
            case .sid: sid = value
            case .id: id = value
            case .args: args = value
            case .keep: keep = value
            case .key: self.key = value
            case nil: continue
            }
        }
    }
}

extension JSONDocument: MessageDocument {
    func shape(of node: Node) -> MessageShape {
        switch kind(of: node) {
        case .null: .none
        case .bool: .bool
        case .integer: .integer
        case .float: .float
        case .string: .text
        case .array: .list
        case .object: .dictionary
        }
    }

    func text(_ node: Node) -> ByteString? { byteString(node) }

    func unescapedText(_ node: Node) -> UnsafeRawBufferPointer? { unsafe unescapedContent(of: node) }

    func isText(_ node: Node, equalTo bytes: ByteString) -> Bool {
        guard let content = unsafe unescapedContent(of: node) else { return byteString(node) == bytes }
        return unsafe bytes.hasBytes(content)
    }

    func key(_ node: Node) -> MessageKey? {
        if let content = unsafe unescapedContent(of: node) { return unsafe MessageKey(content) }
        return unsafe byteString(node)?.withUnsafeBytes { unsafe MessageKey($0) }
    }

    func items(of node: Node) -> Elements { elements(of: node) }
    func next(_ items: inout Elements) -> Node? { items.next() }
    func keysAndValues(of node: Node) -> Members { members(of: node) }
    func next(_ pairs: inout Members) -> (key: Node, value: Node)? { pairs.next() }

    /// True if Python's `bool()` of the value is.
    func isTruthy(_ node: Node) -> Bool {
        switch kind(of: node) {
        case .null: return false
        case .bool: return bool(node) == true
        case .integer, .float: return double(node) != 0
        case .string: return unsafe source(of: node).count > 2
        case .array:
            var items = elements(of: node)
            return items.next() != nil
        case .object:
            var members = members(of: node)
            return members.next() != nil
        }
    }
}

extension PickleDocument: MessageDocument {
    /// The value that an object of a str or int subclass holds; other nodes themselves.
    private func content(of node: Node) -> Node {
        guard kind(of: node) == .object, case .node(let content) = builtinContent(of: node) else { return node }
        return content
    }

    func shape(of node: Node) -> MessageShape {
        switch kind(of: content(of: node)) {
        case .none: return .none
        case .bool: return .bool
        case .int: return .integer
        case .float: return .float
        case .str, .byteString: return .text
        case .bytes, .bytearray: return .bytes
        case .tuple: return .tuple
        case .list: return .list
        case .dict: return .dictionary
        case .object:
            switch builtinContent(of: node) {
            case .pairs, .pairList: return .dictionary
            default: return tupleElements(of: node) != nil ? .tuple : .other
            }
        case .set, .frozenset, .global, .persistentID: return .other
        }
    }

    /// The bytes of a str, or of a Python 2 str in any encoding. Rooms are compared bytewise, so a name that isn't UTF-8
    /// matches nobody's room.
    func text(_ node: Node) -> ByteString? {
        let node = content(of: node)
        guard kind(of: node) == .str || kind(of: node) == .byteString, let bytes = unsafe bytes(of: node) else {
            return nil
        }
        return unsafe ByteString(bytes)
    }

    func unescapedText(_ node: Node) -> UnsafeRawBufferPointer? {
        let node = content(of: node)
        guard kind(of: node) == .str || kind(of: node) == .byteString else { return nil }
        return unsafe bytes(of: node)
    }

    func isText(_ node: Node, equalTo other: ByteString) -> Bool {
        let node = content(of: node)
        guard kind(of: node) == .str || kind(of: node) == .byteString, let bytes = unsafe bytes(of: node) else {
            return false
        }
        return unsafe other.hasBytes(bytes)
    }

    func key(_ node: Node) -> MessageKey? {
        guard kind(of: node) == .str || kind(of: node) == .byteString, let bytes = unsafe bytes(of: node) else {
            return nil
        }
        return unsafe MessageKey(bytes)
    }

    func items(of node: Node) -> Cursor { tupleElements(of: node) ?? elements(of: content(of: node)) }
    func next(_ items: inout Cursor) -> Node? { items.next(in: self) }

    func keysAndValues(of node: Node) -> PairCursor {
        if kind(of: node) == .object, case .pairs(let pairs) = builtinContent(of: node) { return pairs }
        return pairs(of: node)
    }

    func next(_ pairs: inout PairCursor) -> (key: Node, value: Node)? { pairs.next(in: self) }
}
