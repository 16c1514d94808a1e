/// Locates the pairs of a pickled dict in one pass, without a tape: for messages of which most are for somebody else.
///
/// Understands what CPython writes for a dict with text keys at protocols 1 to 5, and says so by `scan`'s result; what
/// it doesn't understand has to be parsed by a `PickleDocument`. What it finds is what a `PickleDocument` of the same
/// bytes holds. It does not look into values: bytes that it accepts may still be refused by the full parse, because of
/// text that isn't UTF-8, frames, nesting or anything else inside of a value.
///
/// The bytes must stay valid and unchanged until the next `scan`.
package struct PickleScan: ~Copyable {
    private var input = UnsafeRawBufferPointer(start: nil, count: 0)
    private let memory: PickleScanWalk.Memory
    /// The dict.
    package private(set) var root = Node(offset: 0)
    /// Pairs found by the last `scan`; 0 when it gave up.
    package private(set) var count = 0

    /// A value: the offset of the opcode that made it; of where it was made first, if it comes from the memo.
    package struct Node: BitwiseCopyable, Sendable {
        package let offset: UInt32
    }

    package init() {
        memory = .init()
    }

    deinit {
        memory.deallocate()
    }

    /// Locates the pairs of the dict at the start of `bytes`; false when the full parse has to say what it is.
    package mutating func scan(_ bytes: UnsafeRawBufferPointer) -> Bool {
        input = bytes
        count = 0
        guard bytes.count <= Int(UInt32.max), let base = bytes.baseAddress else { return false }
        var walk = PickleScanWalk(base, bytes.count, memory)
        guard walk.run() else { return false }
        root = Node(offset: walk.dict)
        count = walk.pairCount
        return true
    }
}

// MARK: What was found

extension PickleScan {
    /// The key of a pair, a str.
    @inline(__always) package func key(at index: Int) -> Node {
        precondition(index < count)
        return memory.pairs[index].key
    }

    /// The value of a pair. Of equal keys the last one's is Python's.
    @inline(__always) package func value(at index: Int) -> Node {
        precondition(index < count)
        return memory.pairs[index].value
    }

    /// The bytes of the pickle that make the value of a pair; what it has from the memo lies before them.
    package func extent(at index: Int) -> Range<Int> {
        precondition(index < count)
        return Int(memory.pairs[index].start)..<Int(memory.pairs[index].end)
    }

    /// The place of the pair with this key; nil where there is none.
    package func index(ofKey key: StaticString) -> Int? {
        guard let base = input.baseAddress else { return nil }
        let key = UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount)
        let length = UInt32(truncatingIfNeeded: key.count)
        let first = memory.pairs
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
    package func kind(of node: Node) -> PickleKind? {
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
    package func text(of node: Node) -> UnsafeRawBufferPointer? {
        guard let base = input.baseAddress, let range = PickleScanWalk.text(at: node.offset, base) else { return nil }
        return UnsafeRawBufferPointer(rebasing: input[range])
    }

    /// The value of a float; nil for other kinds.
    package func double(_ node: Node) -> Double? {
        guard kind(of: node) == .float else { return nil }
        let bits = input.loadUnaligned(fromByteOffset: Int(node.offset) + 1, as: UInt64.self)
        return Double(bitPattern: UInt64(bigEndian: bits))
    }

    /// The value of an int or, as Python has it, a bool; nil for other kinds.
    package func int64(_ node: Node) -> Int64? {
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
