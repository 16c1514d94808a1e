import Glibc
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

    /// Every read is within the bytes.
    struct Walk {
        let bytes: UnsafeRawBufferPointer
        var at = 0

        init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

        @inline(__always) mutating func take(_ byte: UInt8) -> Bool {
            guard at < bytes.count, bytes[at] == byte else { return false }
            at &+= 1
            return true
        }

        @inline(__always) mutating func skipWhitespace() {
            while at < bytes.count, Self.isSpace(bytes[at]) { at &+= 1 }
        }

        @inline(__always) mutating func value() -> Node? {
            guard at < bytes.count else { return nil }
            let start = at
            switch bytes[at] {
            case UInt8(ascii: "\""):
                guard let isPlain = skipText() else { return nil }
                return Node(kind: isPlain ? .plainText : .otherText, start: start &+ 1, end: at &- 1)
            case UInt8(ascii: "{"): return skipContainer() ? Node(kind: .object, start: start, end: at) : nil
            case UInt8(ascii: "["): return skipContainer() ? Node(kind: .array, start: start, end: at) : nil
            case UInt8(ascii: "n"): return word("null") ? Node(kind: .null, start: start, end: at) : nil
            case UInt8(ascii: "t"): return word("true") ? Node(kind: .bool, start: start, end: at) : nil
            case UInt8(ascii: "f"): return word("false") ? Node(kind: .bool, start: start, end: at) : nil
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                while at < bytes.count, Self.isOfNumber(bytes[at]) { at &+= 1 }
                return Node(kind: .number, start: start, end: at)
            default: return nil
            }
        }

        private static func isSpace(_ byte: UInt8) -> Bool {
            byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
        }

        private static func isOfNumber(_ byte: UInt8) -> Bool {
            byte &- UInt8(ascii: "0") < 10 || byte == UInt8(ascii: ".") || byte | 0x20 == UInt8(ascii: "e")
                || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
        }

        private mutating func word(_ word: StaticString) -> Bool {
            guard word.utf8CodeUnitCount <= bytes.count &- at else { return false }
            for index in 0..<word.utf8CodeUnitCount where bytes[at &+ index] != word.utf8Start[index] { return false }
            at &+= word.utf8CodeUnitCount
            return true
        }

        /// Passes a text; whether it is plain, or nil when it has no end.
        @inline(__always) private mutating func skipText() -> Bool? {
            var isPlain = true
            at &+= 1
            while true {
                at &+= plainRunLength(bytes, from: at)
                guard at < bytes.count else { return nil }
                let byte = bytes[at]
                at &+= byte == UInt8(ascii: "\\") ? 2 : 1
                if byte == UInt8(ascii: "\"") { return isPlain }
                isPlain = false
            }
        }

        /// Passes a text, whatever is in it, up to the first quote with an even number of backslashes before it.
        private mutating func skipToQuote() -> Bool {
            guard let base = bytes.baseAddress else { return false }
            at &+= 1
            let start = at
            while at < bytes.count, let found = memchr(base + at, 0x22, bytes.count &- at) {
                let quote = UnsafeRawPointer(found) - base
                at = quote &+ 1
                var escapes = quote
                while escapes > start, bytes[escapes &- 1] == UInt8(ascii: "\\") { escapes &-= 1 }
                if (quote &- escapes) & 1 == 0 { return true }
            }
            return false
        }

        /// Passes an array or object with what is in it.
        private mutating func skipContainer() -> Bool {
            var depth = 0
            while at < bytes.count {
                switch bytes[at] {
                case UInt8(ascii: "\""):
                    guard skipToQuote() else { return false }
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth &+= 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    depth &-= 1
                    if depth == 0 {
                        at &+= 1
                        return true
                    }
                default:
                    at &+= 1
                    passPlain()
                    continue
                }
                at &+= 1
            }
            return false
        }

        /// Passes what is neither quote nor bracket, eight bytes at a time; some of it may be left.
        @inline(__always) private mutating func passPlain() {
            guard let base = bytes.baseAddress else { return }
            let ones: UInt64 = 0x0101_0101_0101_0101
            while bytes.count &- at >= 8 {
                let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                let quote = word ^ (ones &* 0x22)
                // The four brackets, and four more, differ in these bits only.
                let bracket = (word & (ones &* 0xD9)) ^ (ones &* 0x59)
                let found = ((quote &- ones) & ~quote | (bracket &- ones) & ~bracket) & (ones &* 0x80)
                if found != 0 {
                    at &+= found.trailingZeroBitCount / 8
                    return
                }
                at &+= 8
            }
        }
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
