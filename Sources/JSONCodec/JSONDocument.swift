import Bytes

/// One JSON text parsed into a flat tape, as Python's `json.loads` accepts it.
///
/// ```
/// {"a":[1,2]}      0 object ──▶ 5
///                  1 key a ──▶ 2
///                  2 array ──▶ 5
///                  3 1   4 2
/// ```
///
/// The scratch memory is reused: one document per event loop serves all messages. Strings and numbers stay in the
/// input, which must stay valid until the next `parse`. Nodes are valid as long.
@safe package struct JSONDocument: ~Copyable {
    /// The kind of a value. `NaN`, `Infinity` and `-Infinity` are floats.
    package enum Kind: UInt8, Sendable, BitwiseCopyable {
        case null, bool, integer, float, string, array, object
    }

    /// A value's index on the tape.
    package struct Node: Hashable, Sendable {
        let index: UInt32
    }

    /// Limits on one text.
    package let limits: JSONLimits
    var nodes = RawArray<JSONTapeNode>(capacity: 64)
    /// Open containers while printing; as large as the deepest nesting parsed.
    var openContainers = RawArray<UInt32>(capacity: 32)
    /// Slots of the hash table that finds duplicate keys of wide objects.
    var keySlots = RawArray<UInt32>()
    let keyHash = KeyedHash.ofThisProcess
    /// An unescaped key, and the text as UTF-8 if it came in another encoding.
    var keyText = JSONWriter(capacity: 0)
    var otherKeyText = JSONWriter(capacity: 0)
    var transcoded = JSONWriter(capacity: 0)
    var text = unsafe UnsafeRawBufferPointer(start: nil, count: 0)

    package init(limits: JSONLimits = .init()) {
        self.limits = limits
    }

    /// The outermost value. Valid after a `parse` that didn't throw.
    package var root: Node { Node(index: 0) }

    /// The kind of the value.
    package func kind(of node: Node) -> Kind { self[node].kind }

    /// The value of `true` or `false`, nil for other kinds.
    package func bool(_ node: Node) -> Bool? {
        let entry = self[node]
        return entry.kind == .bool ? entry.length == 4 : nil
    }

    /// The value of an integer within 64 bits, nil otherwise. `-0` is 0.
    package func int64(_ node: Node) -> Int64? {
        let entry = self[node]
        return unsafe entry.kind == .integer ? Int64(decimal: bytes(of: entry)) : nil
    }

    /// The value of a float or an integer, nil for other kinds. Beyond the range it is infinite, as in Python.
    package func double(_ node: Node) -> Double? {
        let entry = self[node]
        guard entry.kind == .float || entry.kind == .integer else { return nil }
        return unsafe Double(json: bytes(of: entry))
    }

    /// A string's content as WTF-8, escapes resolved; nil for other kinds.
    package func byteString(_ node: Node) -> ByteString? {
        let entry = self[node]
        guard entry.kind == .string else { return nil }
        if !entry.flags.contains(.hasEscapes) { return unsafe ByteString(bytes(of: entry)) }
        var content = JSONWriter(capacity: Int(entry.length))
        unsafe unescape(bytes(of: entry), into: &content)
        return unsafe content.withUnsafeBytes { unsafe ByteString($0) }
    }

    /// A string's content in the input, if it has no escapes; nil otherwise.
    package func unescapedContent(of node: Node) -> UnsafeRawBufferPointer? {
        let entry = self[node]
        return unsafe entry.kind == .string && !entry.flags.contains(.hasEscapes) ? bytes(of: entry) : nil
    }

    /// True if the value is a string with exactly these bytes.
    package func isString(_ node: Node, equalTo literal: StaticString) -> Bool {
        let entry = self[node]
        return entry.kind == .string
            && literal.withUTF8Buffer { unsafe content(of: entry, equals: UnsafeRawBufferPointer($0)) }
    }

    /// Elements of an array, or members of an object, duplicates resolved; 0 for scalars. Takes linear time.
    package func count(of node: Node) -> Int {
        var count = 0
        switch self[node].kind {
        case .array: for _ in elements(of: node) { count += 1 }
        case .object: for _ in members(of: node) { count += 1 }
        default: break
        }
        return count
    }

    /// The value's extent in the input (in its UTF-8 transcoding, if the input was UTF-16 or UTF-32), quotes included.
    package func source(of node: Node) -> UnsafeRawBufferPointer {
        let entry = self[node]
        let bytes = unsafe bytes(of: entry)
        guard entry.kind == .string else { return unsafe bytes }
        let start = Int(entry.offset) - 1
        return unsafe UnsafeRawBufferPointer(rebasing: text[start..<start + Int(entry.length) + 2])
    }

    subscript(node: Node) -> JSONTapeNode {
        precondition(node.index < nodes.count, "a node of another text")
        return unsafe nodes.base[Int(node.index)]
    }

    func bytes(of entry: JSONTapeNode) -> UnsafeRawBufferPointer {
        let start = Int(entry.offset)
        return unsafe UnsafeRawBufferPointer(rebasing: text[start..<start + Int(entry.length)])
    }
}

/// One value or key of a parsed text, 16 bytes.
struct JSONTapeNode {
    struct Flags: OptionSet {
        let rawValue: UInt8
        /// A string that holds a backslash.
        static let hasEscapes = Flags(rawValue: 1)
        /// A scalar that is spelled as `JSONDocument.write` would print it.
        static let isCanonical = Flags(rawValue: 2)
        /// A key that stood before in the same object: the first one links to the last value.
        static let isSuperseded = Flags(rawValue: 4)
    }

    var kind: JSONDocument.Kind
    var flags: Flags
    /// Scalar: the next node. Container: the node after its last descendant; its parent while it is open.
    /// Key: the node of its value.
    var link: UInt32
    /// First byte in the source; of a string the one after the quote.
    var offset: UInt32
    /// Bytes in the source; of a string without its quotes.
    var length: UInt32
}
