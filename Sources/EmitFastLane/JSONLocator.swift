import Bytes

/// Locates the pairs of a JSON object in one pass, without a tape.
///
/// Texts in other encodings than UTF-8, keys with escapes, and `NaN` as a value of the outermost object have to be parsed by
/// a `JSONDocument`. It doesn't look into arrays and objects: a parser may still refuse bytes that it accepts, because of
/// anything inside a value.
///
/// The bytes must stay valid and unchanged until the next `locate`.
struct JSONLocator: ~Copyable {
    /// The extent of a value; of a text that of its content, without the quotes.
    struct Node: BitwiseCopyable {
        let kind: Kind
        let start: Int
        let end: Int

        /// The extent with quotes.
        var source: Range<Int> {
            let quotes = kind == .unescapedText || kind == .otherText ? 1 : 0
            return start &- quotes..<end &+ quotes
        }
    }

    enum Kind: BitwiseCopyable {
        case null, bool, number, array, object
        /// Printable ASCII without escapes: the bytes are the content.
        case unescapedText
        case otherText
    }

    struct Pair: BitwiseCopyable { let key: Node, value: Node }

    private var input = UnsafeRawBufferPointer(start: nil, count: 0)
    private let pairs = UnsafeMutablePointer<Pair>.allocate(capacity: capacity)
    /// Pairs found by the last `locate`.
    private(set) var count = 0
    private var template = JSONTemplate()
    private var nextTemplate = JSONTemplate()
    /// Objects that didn't match the template, of those that `learnTemplate` was called for.
    private var mismatchCount = 0
    private(set) var matchesTemplate = false

    /// A message has nine or ten.
    static let capacity = 32

    deinit { pairs.deallocate() }

    /// Locates the pairs of the object in the bytes; false when they have to be parsed.
    mutating func locate(_ bytes: UnsafeRawBufferPointer) -> Bool {
        input = bytes
        count = 0
        var walk = Walk(bytes: bytes)
        matchesTemplate = template.matches(&walk, pairs)
        if matchesTemplate {
            count = template.count
            return true
        }
        walk.at = 0
        guard walk.take(UInt8(ascii: "{")) else { return false }
        repeat {
            walk.skipWhitespace()
            guard count < Self.capacity, let key = walk.value(), key.kind == .unescapedText else { return false }
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

    /// Whether there is nothing in the object that a parser could refuse, but for one value: the others are texts, bools and
    /// null, of which all bytes have been looked at.
    func isTrivial(except value: Int) -> Bool {
        if matchesTemplate { return true }
        for index in 0..<count where index != value {
            switch pairs[index].value.kind {
            case .null, .bool, .unescapedText: continue
            case .number, .array, .object, .otherText: return false
            }
        }
        return true
    }
}

// MARK: Results

extension JSONLocator: MessageLocator {
    /// If messages alternate between templates, learning each one costs more than it saves: every eighth is learnt.
    mutating func learnTemplate(texts: UInt32, value: Int) {
        mismatchCount &+= 1
        guard mismatchCount & 7 == 1 else { return }
        matchesTemplate =
            isTrivial(except: value) && nextTemplate.learn(input, pairs, count: count, texts: texts, value: value)
        if matchesTemplate { swap(&template, &nextTemplate) }
    }

    func keyText(at index: Int) -> UnsafeRawBufferPointer {
        precondition(index >= 0 && index < count)
        return UnsafeRawBufferPointer(rebasing: input[pairs[index].key.start..<pairs[index].key.end])
    }

    func value(at index: Int) -> Node {
        precondition(index >= 0 && index < count)
        return pairs[index].value
    }

    func text(at index: Int) -> UnsafeRawBufferPointer? {
        let value = value(at: index)
        return value.kind == .unescapedText ? UnsafeRawBufferPointer(rebasing: input[value.start..<value.end]) : nil
    }

    func isNone(at index: Int) -> Bool { value(at: index).kind == .null }

    func isFalse(at index: Int) -> Bool {
        let value = value(at: index)
        return value.kind == .bool && input[value.start] == UInt8(ascii: "f")
    }

    /// Only false and null are read here.
    func excludesAttachments(at index: Int) -> Bool { isNone(at: index) || isFalse(at: index) }

    /// The bytes of a value.
    func source(of node: Node) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: input[node.source])
    }
}
