import JSONCodec

/// Locates the pairs of a JSON object in one pass, without a tape: for messages of which most are for somebody else.
///
/// What it doesn't understand, as `scan`'s result says, has to be parsed by a `JSONDocument`: text in other encodings than
/// UTF-8, keys with escapes, `NaN` as a value of the outermost object. It doesn't look into arrays and objects: bytes that
/// it accepts may still be refused by the full parse, because of anything inside of a value.
///
/// The bytes must stay valid and unchanged until the next `scan`.
struct JSONScan: ~Copyable {
    /// A value and where it stands; of a text the content without its quotes.
    struct Node: BitwiseCopyable {
        let kind: Kind
        let start: Int
        let end: Int

        /// Where it stands with its quotes.
        var spelled: Range<Int> {
            let quotes = kind == .plainText || kind == .otherText ? 1 : 0
            return start &- quotes..<end &+ quotes
        }
    }

    enum Kind: BitwiseCopyable {
        case null, bool, number, array, object
        /// Printable ASCII without escapes: what stands there is what it says.
        case plainText
        case otherText
    }

    struct Pair: BitwiseCopyable { let key: Node, value: Node }

    private var input = UnsafeRawBufferPointer(start: nil, count: 0)
    private let pairs = UnsafeMutablePointer<Pair>.allocate(capacity: capacity)
    /// Pairs found by the last `scan`.
    private(set) var count = 0
    private var form = JSONScanForm()
    private var nextForm = JSONScanForm()
    /// Objects that had another form than the one kept, of those that `keepForm` was called for.
    private var others = 0
    /// Whether the object scanned last has the form that is kept.
    private(set) var hasKeptForm = false
    /// Whether it was told by that form: its pairs are at the places at which they were when the form was kept.
    private(set) var isRepeated = false

    /// A message has nine or ten.
    static let capacity = 32

    deinit { pairs.deallocate() }

    /// Locates the pairs of the object that the bytes are; false when the full parse has to say what they are.
    mutating func scan(_ bytes: UnsafeRawBufferPointer) -> Bool {
        input = bytes
        count = 0
        var walk = Walk(bytes: bytes)
        isRepeated = form.matches(&walk, pairs)
        hasKeptForm = isRepeated
        if isRepeated {
            count = form.count
            return true
        }
        walk.at = 0
        guard walk.take(UInt8(ascii: "{")) else { return false }
        repeat {
            walk.skipWhitespace()
            guard count < Self.capacity, let key = walk.value(), key.kind == .plainText else { return false }
            walk.skipWhitespace()
            guard walk.take(UInt8(ascii: ":")) else { return false }
            walk.skipWhitespace()
            guard let value = walk.value() else { return false }
            walk.skipWhitespace()
            pairs[count] = Pair(key: key, value: value)
            count &+= 1
        } while walk.take(UInt8(ascii: ","))
        guard walk.take(UInt8(ascii: "}")) else { return false }
        walk.skipWhitespace()
        return walk.at == bytes.count
    }

    /// The name of a message's event and its data, when everything else in the message is a text, a bool or null, and so
    /// has been looked at wholly.
    func event() -> (name: UnsafeRawBufferPointer, data: Node)? {
        var name: UnsafeRawBufferPointer?
        var data: Node?
        for index in 0..<count {
            let pair = pairs[index]
            switch (key(pair.key), pair.value.kind) {
            case (.data, _):
                guard data == nil else { return nil }
                data = pair.value
            case (.event, .plainText): name = plainText(pair.value)
            case (.event, _): return nil
            case (_, .null), (_, .bool), (_, .plainText): continue
            default: return nil
            }
        }
        guard let name, let data else { return nil }
        return (name, data)
    }

    /// Keeps the form of the object scanned last, for those that come, if nothing but some texts and one value differ and
    /// everything else has been looked at wholly. Where several forms take turns that is not worth while each time, so every
    /// eighth is kept.
    ///
    /// - Parameters:
    ///   - texts: places of the pairs whose values are texts that may differ, a bit for each.
    ///   - value: place of the pair with any value.
    mutating func keepForm(texts: UInt32, value: Int) {
        others &+= 1
        guard others & 7 == 1 else { return }
        hasKeptForm = event() != nil && nextForm.keep(input, pairs, count: count, texts: texts, value: value)
        if hasKeptForm { swap(&form, &nextForm) }
    }

    /// The value of a pair.
    func value(at place: Int) -> Node {
        precondition(place >= 0 && place < count)
        return pairs[place].value
    }

    /// Which key of a message a pair has.
    func field(at place: Int) -> MessageKey? {
        precondition(place >= 0 && place < count)
        return key(pairs[place].key)
    }

    /// A value as it is spelled.
    func text(of node: Node) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: input[node.spelled])
    }
}

extension JSONScan: ScannedDocument {
    /// Nothing: arrays are not looked into.
    struct NoItems {}

    var root: Node { Node(kind: .object, start: 0, end: 0) }

    func shape(of node: Node) -> MessageShape {
        switch node.kind {
        case .null: .none
        case .bool: .bool
        case .plainText: .text
        default: .other
        }
    }

    func plainText(_ node: Node) -> UnsafeRawBufferPointer? {
        node.kind == .plainText ? UnsafeRawBufferPointer(rebasing: input[node.start..<node.end]) : nil
    }

    func text(_ node: Node) -> ByteString? { plainText(node).map { ByteString($0) } }

    func isText(_ node: Node, equalTo other: ByteString) -> Bool { plainText(node).map { other.hasBytes($0) } ?? false }

    func key(_ node: Node) -> MessageKey? { plainText(node).flatMap { MessageKey($0) } }

    func bool(_ node: Node) -> Bool? { node.kind == .bool ? input[node.start] == UInt8(ascii: "t") : nil }

    /// Whether a message has no attachments, by the value of its `binary`: anything but false is for the full parse.
    func isUsual(_ binary: Node?) -> Bool {
        switch binary?.kind {
        case nil, .null: true
        case .bool: binary.flatMap { bool($0) } == false
        case .number, .array, .object, .plainText, .otherText: false
        }
    }

    /// Numbers are left to the full parse.
    func int64(_ node: Node) -> Int64? { nil }
    func double(_ node: Node) -> Double? { nil }

    func items(of node: Node) -> NoItems { NoItems() }
    func next(_ items: inout NoItems) -> Node? { nil }

    func keysAndValues(of node: Node) -> Range<Int> { 0..<count }

    func next(_ pairs: inout Range<Int>) -> (key: Node, value: Node)? {
        guard let index = pairs.popFirst() else { return nil }
        return (self.pairs[index].key, self.pairs[index].value)
    }
}
