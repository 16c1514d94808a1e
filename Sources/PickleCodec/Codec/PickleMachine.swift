import Bytes
import Glibc

/// The stack machine that runs a pickle, without any means to import or call.
///
/// Values become nodes on the tape; stack and memo hold node numbers, so that a list changed after it was memoized
/// has changed everywhere. The opcodes are in `PickleMachine+Run.swift`.
@safe struct PickleMachine: ~Copyable {
    var tape = PickleTape()
    var stack = RawArray<UInt32>()
    /// Stack heights at which a MARK lies; kept apart, so that the topmost is found without a scan.
    var marks = RawArray<UInt32>()
    /// Height of the topmost mark: nothing below it may be popped as an item.
    var fence = 0
    var memo = PickleMemo()
    /// Dicts and sets in which equal keys are still to be resolved.
    var pending = RawArray<UInt32>()
    var keys = KeyScratch()
    var keyLists = PickleKeyLists()
    var limits: PickleLimits

    /// Offset of the next byte, and the end of reading: the end of the frame or of the input.
    var at = 0
    var end = 0
    var isInFrame = false
    /// Offset of the opcode being executed.
    var opcodeOffset = 0
    /// A list, dict, set or object was fetched again, so depths noted on the way may be too small.
    var hasSharedContainers = false
    /// Some value was fetched again (GET or DUP).
    var hasShared = false

    /// The origin of the names that follow, set by PROTO.
    var nameOrigin = TapeNode.Flags.upToProtocol2

    /// Items and bytes that reductions have copied.
    var copied = 0

    var buffers: [UnsafeRawBufferPointer] = unsafe []
    var nextBuffer = 0
    var extensions = PickleExtensionRegistry()

    init(limits: PickleLimits) {
        self.limits = limits
    }

    /// Forgets the previous pickle and takes a new one.
    mutating func load(_ bytes: UnsafeRawBufferPointer) {
        unsafe tape.input = unsafe bytes
        tape.reset()
        stack.shrink(to: 1 << 21)
        marks.shrink(to: 1 << 20)
        pending.shrink(to: 1 << 20)
        memo.removeAll()
        keyLists.begin()
        fence = 0
        at = 0
        end = bytes.count
        isInFrame = false
        opcodeOffset = 0
        hasSharedContainers = false
        hasShared = false
        copied = 0
        nameOrigin = .upToProtocol2
        nextBuffer = 0
    }
}

// MARK: Reading arguments

extension PickleMachine {
    /// Checks that `count` more bytes may be read and returns their offset.
    @inline(__always) mutating func take(_ count: Int) throws(PickleFault) -> Int {
        if end &- at < count { try leaveFrame(for: count) }
        let offset = at
        at &+= count
        return offset
    }

    /// Leaves a frame that ends before an argument: only an argument that is partly in the frame is refused, as CPython's
    /// readers from a file do.
    @inline(never) private mutating func leaveFrame(for count: Int) throws(PickleFault) {
        guard unsafe tape.input.count - at >= count else { throw PickleFault(.truncated) }
        guard isInFrame, at == end else { throw PickleFault(.crossesFrame) }
        isInFrame = false
        end = unsafe tape.input.count
    }

    @inline(__always)
    mutating func takeInteger<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) throws(PickleFault) -> T {
        let offset = try take(MemoryLayout<T>.size)
        return unsafe T(littleEndian: tape.input.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// A length of 8 bytes, checked against the input before it becomes an `Int`.
    mutating func takeLength8() throws(PickleFault) -> Int {
        let length = try takeInteger(UInt64.self)
        guard unsafe length <= UInt64(tape.input.count) else { throw PickleFault(.truncated, nil) }
        return Int(length)
    }

    /// A signed length of 4 bytes.
    mutating func takeLength4Signed() throws(PickleFault) -> Int {
        let length = try takeInteger(Int32.self)
        guard length >= 0 else { throw PickleFault(.negativeLength) }
        return Int(length)
    }

    /// A line without its line feed, as offsets into the input.
    mutating func takeLine() throws(PickleFault) -> Range<Int> {
        if at == end, unsafe at < tape.input.count { try leaveFrame(for: 1) }
        guard at < end, let base = unsafe tape.input.baseAddress else { throw PickleFault(.truncatedLine) }
        guard let found = unsafe memchr(base + at, 0x0a, end - at) else {
            let beyond = unsafe end < tape.input.count && memchr(base + end, 0x0a, tape.input.count - end) != nil
            throw PickleFault(beyond ? .crossesFrame : .truncatedLine)
        }
        let range = unsafe at..<(UnsafeRawPointer(found) - base)
        at = range.upperBound + 1
        return range
    }

    /// Enters a frame.
    mutating func enterFrame() throws(PickleFault) {
        let length = try takeInteger(UInt64.self)
        // A frame may begin where the previous one ends, even if its own header was inside that one.
        guard !isInFrame || at == end else { throw PickleFault(.frameInFrame) }
        guard unsafe length <= UInt64(tape.input.count - at) else { throw PickleFault(.frameTooLong, length) }
        end = at + Int(length)
        isInFrame = true
    }
}

// MARK: Stack and tape

extension PickleMachine {
    /// Puts a new node on the tape and its number on the stack.
    @inline(__always) mutating func push(_ node: TapeNode) throws(PickleFault) {
        stack.append(try add(node))
    }

    /// Puts a new node on the tape.
    @inline(__always) mutating func add(_ node: TapeNode) throws(PickleFault) -> UInt32 {
        let index = tape.nodes.count
        if index &- 3 >= limits.maximumNodes { throw PickleFault(.tooManyNodes, UInt64(limits.maximumNodes)) }
        tape.nodes.append(node)
        return UInt32(truncatingIfNeeded: index)
    }

    /// Checks that `count` items lie above the topmost mark.
    @inline(__always) func need(_ count: Int) throws(PickleFault) {
        if stack.count &- fence < count { throw PickleFault(marks.isEmpty ? .stackUnderflow : .unexpectedMark) }
    }

    @inline(__always) mutating func pop() throws(PickleFault) -> UInt32 {
        try need(1)
        return stack.removeLast()
    }

    @inline(__always) func top() throws(PickleFault) -> UInt32 {
        try need(1)
        return stack[stack.count &- 1]
    }

    @inline(__always) mutating func pushMark() {
        fence = stack.count
        marks.append(UInt32(truncatingIfNeeded: fence))
    }

    /// Removes the topmost mark and returns the stack height it marked; the items above it are still there.
    @inline(__always) mutating func popMark() throws(PickleFault) -> Int {
        if marks.isEmpty { throw PickleFault(.noMark) }
        let height = Int(marks.removeLast())
        fence = marks.isEmpty ? 0 : Int(marks[marks.count &- 1])
        return height
    }

    @inline(__always) mutating func store(at index: UInt64) throws(PickleFault) {
        let node = try top()
        if !memo.store(node, at: index, limit: limits.maximumMemoEntries) {
            throw PickleFault(.tooManyMemoEntries, UInt64(limits.maximumMemoEntries))
        }
    }

    /// Stores a node at the next index of the memo.
    @inline(__always) mutating func memoize(_ node: UInt32) throws(PickleFault) {
        if !memo.append(node, limit: limits.maximumMemoEntries) {
            throw PickleFault(.tooManyMemoEntries, UInt64(limits.maximumMemoEntries))
        }
    }

    @inline(__always) mutating func fetch(at index: UInt64) throws(PickleFault) {
        guard let node = memo.value(at: index) else { throw PickleFault(.memoMissing, index) }
        noteShared(node)
        stack.append(node)
    }

    @inline(__always) mutating func noteShared(_ node: UInt32) {
        switch tape.nodes[node].kind {
        case .list, .dict, .set, .object:
            hasSharedContainers = true
            hasShared = true
        case .tuple, .frozenset, .bytearray, .persistentID:
            hasShared = true
        default:
            break
        }
    }
}
