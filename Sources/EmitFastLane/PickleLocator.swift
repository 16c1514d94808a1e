import Bytes
import PickleCodec

/// Locates the pairs of a pickled dict in one pass, without a tape.
///
/// Understands what CPython writes for a dict with text keys at protocols 1 to 5; everything else has to be parsed. It finds
/// the same pairs as a `PickleDocument` of the same bytes. It doesn't look into values: a parser may still refuse bytes that
/// it accepts, because of text that isn't UTF-8, frames, nesting or anything else inside a value.
///
/// The bytes must stay valid and unchanged until the next `locate`.
struct PickleLocator: ~Copyable {
    private(set) var input = UnsafeRawBufferPointer(start: nil, count: 0)
    let memory: OpcodeWalk.Memory
    private var template = PickleTemplate()
    private var nextTemplate = PickleTemplate()
    /// Dicts that didn't match the template, of those that `learnTemplate` was called for.
    private var mismatchCount = 0
    private(set) var matchesTemplate = false
    /// Whether an index of the memo stood for one value only.
    private(set) var isMemoStable = false
    let pairs: UnsafePointer<Pair>
    /// Offset of the opcode that makes the dict.
    private(set) var dict: UInt32 = 0
    /// Pairs found by the last `locate`; 0 when it gave up.
    private(set) var count = 0

    /// A key and its value. Both are offsets of the opcodes that made them; of where they were made first, if they come from
    /// the memo.
    struct Pair: BitwiseCopyable {
        let key: UInt32
        /// Where the key's text is.
        let keyStart: UInt32
        let keyLength: UInt32
        let value: UInt32
        /// Where the value is in the pickle.
        let start: UInt32
        let end: UInt32
    }

    init() {
        memory = .init()
        pairs = UnsafePointer(memory.pairs)
    }

    deinit {
        memory.deallocate()
    }

    /// Locates the pairs of the dict at the start of `bytes`; false when it has to be parsed.
    mutating func locate(_ bytes: UnsafeRawBufferPointer) -> Bool {
        input = bytes
        count = 0
        matchesTemplate = false
        guard bytes.count <= Int(UInt32.max), let base = bytes.baseAddress else { return false }
        var walk = OpcodeWalk(base, bytes.count, memory)
        matchesTemplate = template.matches(&walk)
        if matchesTemplate {
            count = template.count
        } else {
            walk = OpcodeWalk(base, bytes.count, memory)
            guard walk.run() else { return false }
            count = walk.pairCount
        }
        dict = walk.dict
        isMemoStable = walk.isMemoStable
        return true
    }

    /// Whether there is nothing in the dict that a parser could refuse, but for one value.
    func isTrivial(except value: Int) -> Bool {
        if matchesTemplate {
            return template.allTexts { index in text(at: index).map { Self.isValidText($0) } ?? false }
        }
        return isMemoStable && TrivialPairReader.isTrivial(input, dict: dict, pairs, count: count, except: value)
    }

    /// Whether the bytes of a text are valid. Most are printable ASCII, which is seen without a call.
    @inline(__always) static func isValidText(_ text: UnsafeRawBufferPointer) -> Bool {
        unescapedRunLength(text, from: 0) == text.count || WTF8.isValid(text)
    }
}

// MARK: What was found

extension PickleLocator: MessageLocator {
    /// If messages alternate between templates, learning each one costs more than it saves: every eighth is learnt.
    mutating func learnTemplate(texts: UInt32, value: Int) {
        mismatchCount &+= 1
        guard mismatchCount & 7 == 1 else { return }
        matchesTemplate = nextTemplate.learn(input, dict: dict, pairs, count: count, texts: texts, value: value)
        if matchesTemplate { swap(&template, &nextTemplate) }
    }

    func keyText(at index: Int) -> UnsafeRawBufferPointer {
        precondition(index >= 0 && index < count)
        let start = Int(pairs[index].keyStart)
        return UnsafeRawBufferPointer(rebasing: input[start..<start &+ Int(pairs[index].keyLength)])
    }

    func text(at index: Int) -> UnsafeRawBufferPointer? {
        precondition(index >= 0 && index < count)
        guard let base = input.baseAddress, let range = Self.text(at: pairs[index].value, base) else { return nil }
        return UnsafeRawBufferPointer(rebasing: input[range])
    }

    func isNone(at index: Int) -> Bool {
        precondition(index >= 0 && index < count)
        return input[Int(pairs[index].value)] == Opcode.none.rawValue
    }

    /// A pickle says of each value whether it is bytes: no receiver reads the key.
    func excludesAttachments(at index: Int) -> Bool { true }

    /// The bytes of the pickle that make the value of a pair; what it has from the memo is before them.
    func extent(at index: Int) -> Range<Int> {
        precondition(index >= 0 && index < count)
        return Int(pairs[index].start)..<Int(pairs[index].end)
    }

    /// The extent of the content of a text that an opcode of the pickle makes; nil if it makes something else.
    @inline(__always) static func text(at offset: UInt32, _ base: UnsafeRawPointer) -> Range<Int>? {
        let position = Int(offset)
        switch base.load(fromByteOffset: position, as: UInt8.self) {
        case Opcode.shortBinUnicode.rawValue:
            let start = position &+ 2
            return start..<start &+ Int(base.load(fromByteOffset: position &+ 1, as: UInt8.self))
        case Opcode.binUnicode.rawValue:
            let length = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: position &+ 1, as: UInt32.self))
            let start = position &+ 5
            return start..<start &+ Int(length)
        default: return nil
        }
    }
}
