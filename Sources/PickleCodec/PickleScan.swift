/// Locates the pairs of a pickled dict in one pass, without a tape: for messages of which most are for somebody else.
///
/// Understands what CPython writes for a dict with text keys at protocols 1 to 5, and says so by `scan`'s result; what
/// it doesn't understand has to be parsed by a `PickleDocument`. What it finds is what a `PickleDocument` of the same
/// bytes holds. It does not look into values: bytes that it accepts may still be refused by the full parse, because of
/// text that isn't UTF-8, frames, nesting or anything else inside of a value.
///
/// The bytes must stay valid and unchanged until the next `scan`.
public struct PickleScan: ~Copyable {
    @usableFromInline var input = UnsafeRawBufferPointer(start: nil, count: 0)
    let memory: PickleScanWalk.Memory
    private var form = PickleScanForm()
    private var nextForm = PickleScanForm()
    /// Dicts that had another form than the one kept, of those that `keepForm` was called for.
    private var others = 0
    /// Whether the dict scanned last has the form that is kept.
    package private(set) var hasKeptForm = false
    /// Whether it was told by that form: its pairs are at the places at which they were when the form was kept.
    package private(set) var isRepeated = false
    /// Whether an index of the memo stood for one value only.
    private(set) var isMemoStable = false
    /// Values of what is written, reused.
    var tokens = RawArray<PickleSplice.Token>()
    @usableFromInline let pairs: UnsafePointer<Pair>
    /// The dict.
    public private(set) var root = Node(offset: 0)
    /// Pairs found by the last `scan`; 0 when it gave up.
    public internal(set) var count = 0

    /// A value: the offset of the opcode that made it; of where it was made first, if it comes from the memo.
    @frozen public struct Node: BitwiseCopyable, Sendable {
        public let offset: UInt32

        @usableFromInline init(offset: UInt32) { self.offset = offset }
    }

    /// A key and its value.
    @usableFromInline struct Pair: BitwiseCopyable {
        @usableFromInline let key: Node
        /// Where the key's text lies.
        @usableFromInline let keyStart: UInt32
        @usableFromInline let keyLength: UInt32
        @usableFromInline let value: Node
        /// Where the value lies in the pickle.
        let start: UInt32
        let end: UInt32
    }

    public init() {
        memory = .init()
        pairs = UnsafePointer(memory.pairs)
    }

    deinit {
        memory.deallocate()
    }

    /// Locates the pairs of the dict at the start of `bytes`; false when the full parse has to say what it is.
    public mutating func scan(_ bytes: UnsafeRawBufferPointer) -> Bool {
        input = bytes
        count = 0
        (isRepeated, hasKeptForm) = (false, false)
        guard bytes.count <= Int(UInt32.max), let base = bytes.baseAddress else { return false }
        var walk = PickleScanWalk(base, bytes.count, memory)
        isRepeated = form.matches(&walk)
        hasKeptForm = isRepeated
        if isRepeated {
            count = form.count
        } else {
            walk = PickleScanWalk(base, bytes.count, memory)
            guard walk.run() else { return false }
            count = walk.pairCount
        }
        root = Node(offset: walk.dict)
        isMemoStable = walk.isMemoStable
        return true
    }

    /// Keeps the form of the dict scanned last, for those that come, if nothing but some texts and one value differ. Where
    /// several forms take turns that is not worth while each time, so every eighth is kept.
    ///
    /// - Parameters:
    ///   - texts: places of the pairs whose values are texts that may differ, a bit for each.
    ///   - value: place of the pair with any value.
    package mutating func keepForm(texts: UInt32, value: Int) {
        others &+= 1
        guard others & 7 == 1 else { return }
        hasKeptForm = nextForm.keep(input, dict: root.offset, pairs, count: count, texts: texts, value: value)
        if hasKeptForm { swap(&form, &nextForm) }
    }

    /// Whether there is nothing in the dict that the full parse could refuse, but for one value.
    func isPlain(except value: Int) -> Bool {
        if hasKeptForm {
            return form.allTexts { place in text(of: self.value(at: place)).map { WTF8.isValid($0) } ?? false }
        }
        return isMemoStable && PlainPairReader.isPlain(input, dict: root.offset, pairs, count: count, except: value)
    }
}

// MARK: What was found

extension PickleScan {
    /// The key of a pair, a str.
    @inlinable public func key(at index: Int) -> Node {
        precondition(index >= 0 && index < count)
        return pairs[index].key
    }

    /// The text of the key of a pair.
    @inlinable public func keyText(at index: Int) -> UnsafeRawBufferPointer {
        precondition(index >= 0 && index < count)
        let start = Int(pairs[index].keyStart)
        return UnsafeRawBufferPointer(rebasing: input[start..<start &+ Int(pairs[index].keyLength)])
    }

    /// The value of a pair. Of equal keys the last one's is Python's.
    @inlinable public func value(at index: Int) -> Node {
        precondition(index >= 0 && index < count)
        return pairs[index].value
    }

    /// The bytes of the pickle that make the value of a pair; what it has from the memo lies before them.
    public func extent(at index: Int) -> Range<Int> {
        precondition(index >= 0 && index < count)
        return Int(pairs[index].start)..<Int(pairs[index].end)
    }

    /// The place of the pair with this key; nil where there is none.
    public func index(ofKey key: StaticString) -> Int? {
        guard let base = input.baseAddress else { return nil }
        let key = UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount)
        let length = UInt32(truncatingIfNeeded: key.count)
        let first = pairs
        var pair = first + count
        while pair > first {
            pair -= 1
            if pair.pointee.keyLength == length {
                let text = UnsafeRawBufferPointer(start: base + Int(pair.pointee.keyStart), count: key.count)
                if equalShortBytes(text, key) { return pair - first }
            }
        }
        return nil
    }

    /// What a value is: None, a bool, an int or float, str or bytes; nil for everything that only the full parse reads.
    @inlinable public func kind(of node: Node) -> PickleKind? {
        switch input[Int(node.offset)] {
        case 0x4e: PickleKind.none
        case 0x88, 0x89: .bool
        case 0x4b, 0x4d, 0x4a: .int
        case 0x47: .float
        case 0x8c, 0x58: .str
        case 0x43, 0x42: .bytes
        default: nil
        }
    }

    /// The content of a str; nil for other kinds.
    @inlinable public func text(of node: Node) -> UnsafeRawBufferPointer? {
        guard let base = input.baseAddress, let range = Self.text(at: node.offset, base) else { return nil }
        return UnsafeRawBufferPointer(rebasing: input[range])
    }

    /// Where the content of a text lies that an opcode of the pickle makes; nil if it makes something else.
    @inlinable static func text(at offset: UInt32, _ base: UnsafeRawPointer) -> Range<Int>? {
        let at = Int(offset)
        switch base.load(fromByteOffset: at, as: UInt8.self) {
        case 0x8c:  // SHORT_BINUNICODE
            let start = at &+ 2
            return start..<start &+ Int(base.load(fromByteOffset: at &+ 1, as: UInt8.self))
        case 0x58:  // BINUNICODE
            let length = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: at &+ 1, as: UInt32.self))
            let start = at &+ 5
            return start..<start &+ Int(length)
        default: return nil
        }
    }

    /// The value of a float; nil for other kinds.
    public func double(_ node: Node) -> Double? {
        guard kind(of: node) == .float else { return nil }
        let bits = input.loadUnaligned(fromByteOffset: Int(node.offset) + 1, as: UInt64.self)
        return Double(bitPattern: UInt64(bigEndian: bits))
    }

    /// The value of an int or, as Python has it, a bool; nil for other kinds.
    public func int64(_ node: Node) -> Int64? {
        let at = Int(node.offset)
        switch input[at] {
        case 0x88: return 1
        case 0x89: return 0
        case 0x4b: return Int64(input[at + 1])
        case 0x4d: return Int64(UInt16(littleEndian: input.loadUnaligned(fromByteOffset: at + 1, as: UInt16.self)))
        case 0x4a: return Int64(Int32(littleEndian: input.loadUnaligned(fromByteOffset: at + 1, as: Int32.self)))
        default: return nil
        }
    }
}
