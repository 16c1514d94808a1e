import Bytes
import Glibc
import PickleCodec

typealias Opcode = PickleOpcode
typealias PickleLocator = MessageLocator<OpcodeWalk>

/// Walks over a pickled dict with a stack machine that has offsets in place of values.
///
/// It understands the opcodes that CPython writes for a dict with text keys at protocols 1 to 5. Stack and memo hold the
/// opcode that made each value; no value is built. An opcode that would exceed the fixed memory, or that plain data doesn't
/// have, ends the walk.
///
/// Each value leaves a token for `PickleEventWriter`. Opcodes of lists and dicts come before their items, those of tuples
/// after them, and an empty list looks like the beginning of one with items. So a token notes what opens before its value
/// and closes after it.
///
///     ](K\x01K\x02\x86K\x03e     [ [ 1 , 2 ] , 3 ]     tokens: [, 1 opening a tuple, 2 closing it, 3 closing the list
@safe struct OpcodeWalk: MessageWalk {
    private let base: UnsafeRawPointer
    private let end: Int
    private let memory: Memory
    private var at = 0
    private var height = 0
    /// The height at the topmost mark, or above the dict. An opcode takes nothing from below.
    private var fence = 0
    private var markCount = 0
    private var memoCount = 0
    /// Entries of the memo below this one are unknown.
    private var memoFloor = 0
    private var tokenCount = 0
    /// The position of the dict's opcode.
    private var dict: UInt32 = 0
    private var pairCount = 0
    /// All values can be written from their tokens, and there is no frame but one around everything.
    private(set) var isPlain = true
    /// The bytes that end the walk over one value.
    private var follower = unsafe UnsafeRawBufferPointer(start: nil, count: 0)

    /// CPython appends items to a list or dict in batches of 1000.
    private static let stackCapacity = 4096
    private static let memoCapacity = 4096
    private static let markCapacity = 256
    fileprivate static let tokenCapacity = 1 << 18

    /// A value on the stack.
    struct Item: BitwiseCopyable {
        /// Its start in the pickle.
        var start: UInt32
        /// The index of its first token, with the bit `compound` for a value of several tokens.
        var token: UInt32

        static let compound: UInt32 = 1 << 31
    }

    struct Mark: BitwiseCopyable {
        /// The fence below it.
        let fence: UInt32
        let start: UInt32
    }

    /// A value, in the order of writing.
    struct Token: BitwiseCopyable {
        /// Position of the opcode that made it. For a value fetched from the memo, this is where it was first made.
        let maker: UInt32
        /// Tuples that begin with it.
        var opens: UInt8 = 0
        /// Containers that end with it.
        var closes: UInt8 = 0
        /// A list or dict with items.
        var isFilled = false
    }

    @safe struct Memory: WalkMemory {
        let items = UnsafeMutablePointer<Item>.allocate(capacity: stackCapacity)
        let memo = UnsafeMutablePointer<UInt32>.allocate(capacity: memoCapacity)
        let marks = UnsafeMutablePointer<Mark>.allocate(capacity: markCapacity)
        /// Pages that are never written take no memory.
        let tokens = UnsafeMutablePointer<Token>.allocate(capacity: tokenCapacity)
        /// Scratch of `PickleEventWriter`: the makers of keys, and of each open container its keys.
        let keys = UnsafeMutablePointer<UInt32>.allocate(capacity: PickleEventWriter.maximumKeys)
        let openKeys = UnsafeMutablePointer<PickleEventWriter.Keys>.allocate(capacity: PickleEventWriter.maximumDepth)

        /// The first token of an item.
        @inline(__always) fileprivate func token(of item: Item) -> UnsafeMutablePointer<Token> {
            unsafe tokens + Int(item.token & ~Item.compound)
        }

        func deallocate() {
            unsafe items.deallocate()
            unsafe memo.deallocate()
            unsafe marks.deallocate()
            unsafe tokens.deallocate()
            unsafe keys.deallocate()
            unsafe openKeys.deallocate()
        }
    }

    init(_ bytes: UnsafeRawBufferPointer, _ memory: Memory) {
        unsafe base = unsafe bytes.baseAddress ?? UnsafeRawPointer(memory.tokens)
        end = bytes.count
        self.memory = memory
    }
}

// MARK: A message

extension OpcodeWalk {
    static var hasValidTexts: Bool { false }
    static var isJSON: Bool { false }
    var position: UInt32 { UInt32(truncatingIfNeeded: at) }
    var isAtEnd: Bool { at == end }

    /// Passes the header, whose frame length differs in each message, and the opcode that makes the dict.
    @inline(__always) mutating func enter() -> Bool {
        if end >= 12, byte(0) == Opcode.proto.rawValue, byte(1) <= 5 { at = 2 }
        if end &- at >= 10, byte(at) == Opcode.frame.rawValue {
            let length = unsafe base.loadUnaligned(fromByteOffset: at &+ 1, as: UInt64.self)
            at &+= 9
            isPlain = UInt64(littleEndian: length) == UInt64(truncatingIfNeeded: end &- at)
        }
        guard end &- at >= 2, byte(at) == Opcode.emptyDict.rawValue else { return false }
        dict = position
        return push(skipping: 1)
    }

    mutating func readPairs(_ pairs: UnsafeMutablePointer<LocatedPair>) -> Int? {
        // Behind the fence the dict can't be stored any more.
        switch byte(at) {
        case Opcode.memoize.rawValue: guard put(0, skipping: 1) else { return nil }
        case Opcode.binPut.rawValue: guard end &- at > 2, put(Int(byte(at &+ 1)), skipping: 2) else { return nil }
        default: break
        }
        fence = 1
        return unsafe execute(pairs) ? pairCount : nil
    }

    @inline(__always) mutating func pass(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard unsafe hasBytes(bytes) else { return false }
        at &+= bytes.count
        return true
    }

    @inline(__always) mutating func passText() -> Extent? {
        guard end &- at > 5, let text = unsafe Self.text(at: position, base), Int(text.end) < end else { return nil }
        at = Int(text.end)
        return text
    }

    /// Walks over the value from an empty stack.
    mutating func passValue(
        of pair: inout LocatedPair, _ memoCount: Int, before follower: UnsafeRawBufferPointer
    ) -> Bool {
        guard at < end else { return false }
        height = 0
        tokenCount = 0
        self.memoCount = memoCount
        memoFloor = memoCount
        unsafe self.follower = unsafe follower
        guard unsafe execute(nil) else { return false }
        unsafe Self.describe(Self.maker(of: memory.items[0], memory), base, &pair)
        pair.tokens = Extent(start: 0, end: UInt32(truncatingIfNeeded: tokenCount))
        return true
    }

    /// A walk over the bytes before the position ends there, after it has made the same tokens again.
    static func memoCount(at position: UInt32, of bytes: UnsafeRawBufferPointer, _ memory: Memory) -> Int {
        var walk = unsafe OpcodeWalk(UnsafeRawBufferPointer(rebasing: bytes[...Int(position)]), memory)
        let pairs = UnsafeMutablePointer<LocatedPair>.allocate(capacity: PickleLocator.maximumPairs)
        defer { unsafe pairs.deallocate() }
        if walk.enter() { _ = unsafe walk.readPairs(pairs) }
        return walk.memoCount
    }

    /// The walk over one value has reached the bytes that follow it.
    @inline(__always) private func isAtFollower() -> Bool { unsafe height == 1 && markCount == 0 && hasBytes(follower) }

    /// These bytes come next; false for none.
    @inline(__always) private func hasBytes(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let other = bytes.baseAddress, end &- at >= bytes.count else { return false }
        return unsafe memcmp(base + at, other, bytes.count) == 0
    }

    /// Notes the items above the dict as pairs.
    ///
    /// - Returns: the number of pairs so far; -1 if the items aren't pairs with texts as keys, or are too many.
    private static func takePairs(
        _ pairs: UnsafeMutablePointer<LocatedPair>, _ count: Int, _ base: UnsafeRawPointer, _ memory: Memory,
        _ height: Int, _ tokenCount: UInt32, at position: UInt32
    ) -> Int {
        guard height & 1 == 1, count &+ height / 2 <= PickleLocator.maximumPairs else { return -1 }
        var count = count
        var index = 1
        while index < height {
            let (key, value) = unsafe (memory.items[index], memory.items[index &+ 1])
            guard let maker = maker(of: key, memory), let text = unsafe text(at: maker, base) else { return -1 }
            index &+= 2
            let isLast = index == height
            let valueEnd = unsafe isLast ? position : memory.items[index].start
            let tokensEnd = unsafe isLast ? tokenCount : memory.items[index].token
            var pair = LocatedPair(
                key: text, value: Extent(start: value.start, end: valueEnd),
                tokens: Extent(start: value.token & ~Item.compound, end: tokensEnd))
            unsafe describe(Self.maker(of: value, memory), base, &pair)
            unsafe pairs[count] = pair
            count &+= 1
        }
        return count
    }

    /// Sets the kind of a value made by an opcode, or of a compound one.
    @inline(__always)
    private static func describe(_ maker: UInt32?, _ base: UnsafeRawPointer, _ pair: inout LocatedPair) {
        guard let maker else {
            pair.kind = .other
            return
        }
        switch unsafe base.load(fromByteOffset: Int(maker), as: UInt8.self) {
        case Opcode.none.rawValue: pair.kind = .none
        case Opcode.newTrue.rawValue: pair.kind = .true
        case Opcode.newFalse.rawValue: pair.kind = .false
        default:
            let text = unsafe text(at: maker, base)
            pair.kind = text == nil ? .other : .text
            pair.text = text ?? Extent()
        }
    }

    /// The content of a text made by an opcode; nil if it makes something else.
    @inline(__always) static func text(at position: UInt32, _ base: UnsafeRawPointer) -> Extent? {
        let offset = Int(position)
        switch unsafe base.load(fromByteOffset: offset, as: UInt8.self) {
        case Opcode.shortBinUnicode.rawValue:
            let length = unsafe base.load(fromByteOffset: offset &+ 1, as: UInt8.self)
            return Extent(start: position &+ 2, end: position &+ 2 &+ UInt32(length))
        case Opcode.binUnicode.rawValue:
            let length = unsafe UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset &+ 1, as: UInt32.self))
            return Extent(start: position &+ 5, end: position &+ 5 &+ length)
        default: return nil
        }
    }
}

// MARK: Steps: false ends the walk

extension OpcodeWalk {
    @inline(__always) private func byte(_ offset: Int) -> UInt8 {
        unsafe base.load(fromByteOffset: offset, as: UInt8.self)
    }

    /// The four bytes after the opcode.
    @inline(__always) private func word32() -> Int {
        unsafe Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: at &+ 1, as: UInt32.self)))
    }

    /// Passes some bytes. At least one, STOP, must follow.
    @inline(__always) private mutating func skip(_ count: Int) -> Bool {
        if end &- at <= count { return false }
        at &+= count
        return true
    }

    /// Pushes the value that the next bytes make.
    @inline(__always) private mutating func push(skipping count: Int) -> Bool { push(position, skipping: count) }

    @inline(__always) private mutating func push(_ maker: UInt32, skipping count: Int) -> Bool {
        if end &- at <= count || height == Self.stackCapacity || tokenCount == Self.tokenCapacity { return false }
        unsafe memory.tokens[tokenCount] = Token(maker: maker)
        unsafe memory.items[height] = Item(start: position, token: UInt32(truncatingIfNeeded: tokenCount))
        height &+= 1
        tokenCount &+= 1
        at &+= count
        return true
    }

    /// Pushes the value that an opcode with a length makes.
    @inline(__always)
    private mutating func push<T: FixedWidthInteger & BitwiseCopyable>(lengthOf _: T.Type) -> Bool {
        let size = 1 &+ MemoryLayout<T>.size
        if end &- at <= size { return false }
        let length = unsafe T(littleEndian: base.loadUnaligned(fromByteOffset: at &+ 1, as: T.self))
        return push(skipping: size &+ Int(truncatingIfNeeded: length))
    }

    /// Replaces the values from a height on by the opcode's tuple of them.
    @inline(__always) private mutating func makeTuple(from first: Int) -> Bool {
        if first < fence || first >= height { return false }
        let (opening, closing) = unsafe (memory.token(of: memory.items[first]), memory.tokens + (tokenCount &- 1))
        if unsafe opening.pointee.opens == .max || closing.pointee.closes == .max { isPlain = false }
        unsafe opening.pointee.opens &+= 1
        unsafe closing.pointee.closes &+= 1
        height = first &+ 1
        unsafe memory.items[first].token |= Item.compound
        return skip(1)
    }

    /// Replaces the values from a height on by another value that the opcode makes of them.
    @inline(__always) private mutating func makeOther(from first: Int) -> Bool {
        if first < fence || first >= height { return false }
        isPlain = false
        height = first &+ 1
        unsafe memory.items[first].token |= Item.compound
        return skip(1)
    }

    /// Adds the values from a height on to the list or dict below them, which is empty so far.
    @inline(__always) private mutating func fill(_ opcode: Opcode, from first: Int) -> Bool {
        if first <= fence || first > height { return false }
        let item = unsafe memory.items[first &- 1]
        let (opening, closing) = unsafe (memory.token(of: item), memory.tokens + (tokenCount &- 1))
        if unsafe first == height || item.token & Item.compound != 0 || opening.pointee.isFilled
            || byte(Int(opening.pointee.maker)) != opcode.rawValue || closing.pointee.closes == .max
        {
            return give(from: first)
        }
        unsafe opening.pointee.isFilled = true
        unsafe closing.pointee.closes &+= 1
        height = first
        return skip(1)
    }

    /// Adds the values from a height on to the value below them, which then can't be written from its tokens.
    @inline(__always) private mutating func give(from first: Int) -> Bool {
        if first <= fence || first > height { return false }
        isPlain = false
        unsafe memory.items[first &- 1].token |= Item.compound
        height = first
        return skip(1)
    }

    /// Adds everything above the dict to it.
    @inline(__always) private mutating func giveToDict(_ pairs: UnsafeMutablePointer<LocatedPair>) -> Bool {
        pairCount = unsafe Self.takePairs(
            pairs, pairCount, base, memory, height, UInt32(truncatingIfNeeded: tokenCount), at: position)
        height = 1
        return pairCount >= 0 && skip(1)
    }

    @inline(__always) private mutating func pushMark() -> Bool {
        if markCount == Self.markCapacity { return false }
        unsafe memory.marks[markCount] = Mark(fence: UInt32(truncatingIfNeeded: fence), start: position)
        markCount &+= 1
        fence = height
        return skip(1)
    }

    /// Removes the topmost mark, and returns its height; -1 if there is none.
    @inline(__always) private mutating func popMark() -> Int {
        if markCount == 0 { return -1 }
        let height = fence
        markCount &-= 1
        fence = unsafe Int(memory.marks[markCount].fence)
        return height
    }

    /// The position of the opcode that made a value; nil for a compound one.
    @inline(__always) private static func maker(of item: Item, _ memory: Memory) -> UInt32? {
        unsafe item.token & Item.compound == 0 ? memory.token(of: item).pointee.maker : nil
    }

    /// Stores the topmost value in the memo. Indices with gaps are left to the parser.
    @inline(__always) private mutating func store(_ maker: UInt32, at index: Int) -> Bool {
        if index > memoCount { return false }
        if index < Self.memoCapacity { unsafe memory.memo[index] = maker }
        if index == memoCount { memoCount &+= 1 }
        return true
    }

    @inline(__always) private mutating func put(_ index: Int, skipping count: Int) -> Bool {
        // A compound value gets the position of the PUT, where no text and no other value that can be written begins.
        unsafe height > fence && store(Self.maker(of: memory.items[height &- 1], memory) ?? position, at: index)
            && skip(count)
    }

    /// Pushes a value from the memo; not the dict itself, since the walk wouldn't see later changes to it.
    @inline(__always) private mutating func fetch(at index: Int, skipping count: Int) -> Bool {
        if index >= memoCount || index >= Self.memoCapacity || index < memoFloor { return false }
        let maker = unsafe memory.memo[index]
        if maker == dict { return false }
        let isText =
            byte(Int(maker)) == Opcode.shortBinUnicode.rawValue || byte(Int(maker)) == Opcode.binUnicode.rawValue
        if !isText { isPlain = false }
        return push(isText ? maker : position, skipping: count)
    }
}

// MARK: The opcodes

extension OpcodeWalk {
    /// Runs the opcodes with a flat switch over bytes, like `PickleMachine.run`.
    ///
    /// - Parameter pairs: those of the dict; nil to walk over one value up to its follower.
    @inline(never) private mutating func execute(_ pairs: UnsafeMutablePointer<LocatedPair>?) -> Bool {
        while true {
            let goesOn: Bool
            switch byte(at) {
            case Opcode.shortBinUnicode.rawValue:
                repeat {
                    if isAtFollower() { return true }
                    let maker = position
                    guard push(lengthOf: UInt8.self) else { return false }
                    if byte(at) == Opcode.memoize.rawValue {
                        guard store(maker, at: memoCount), skip(1) else { return false }
                    }
                } while byte(at) == Opcode.shortBinUnicode.rawValue
                continue
            case Opcode.memoize.rawValue:
                goesOn = put(memoCount, skipping: 1)
            case Opcode.binGet.rawValue:
                goesOn = end &- at > 2 && fetch(at: Int(byte(at &+ 1)), skipping: 2)
            case Opcode.longBinGet.rawValue:
                goesOn = end &- at > 5 && fetch(at: word32(), skipping: 5)
            case Opcode.binPut.rawValue:
                goesOn = end &- at > 2 && put(Int(byte(at &+ 1)), skipping: 2)
            case Opcode.longBinPut.rawValue:
                goesOn = end &- at > 5 && put(word32(), skipping: 5)
            case Opcode.none.rawValue, Opcode.newTrue.rawValue, Opcode.newFalse.rawValue, Opcode.emptyList.rawValue,
                Opcode.emptyDict.rawValue, Opcode.emptySet.rawValue, Opcode.emptyTuple.rawValue:
                goesOn = push(skipping: 1)
            case Opcode.binInt1.rawValue:
                goesOn = push(skipping: 2)
            case Opcode.binInt2.rawValue:
                goesOn = push(skipping: 3)
            case Opcode.binInt.rawValue:
                goesOn = push(skipping: 5)
            case Opcode.binFloat.rawValue:
                goesOn = push(skipping: 9)
            case Opcode.binUnicode.rawValue:
                if isAtFollower() { return true }
                goesOn = push(lengthOf: UInt32.self)
            case Opcode.binBytes.rawValue, Opcode.long4.rawValue:
                goesOn = push(lengthOf: UInt32.self)
            case Opcode.shortBinBytes.rawValue, Opcode.long1.rawValue:
                goesOn = push(lengthOf: UInt8.self)
            case Opcode.mark.rawValue:
                goesOn = pushMark()
            case Opcode.setItems.rawValue:
                if isAtFollower() { return true }
                let first = popMark()
                if let pairs = unsafe pairs, markCount == 0, first == 1 {
                    goesOn = unsafe giveToDict(pairs)
                } else {
                    goesOn = (height &- first) & 1 == 0 && fill(.emptyDict, from: first)
                }
            case Opcode.setItem.rawValue:
                if let pairs = unsafe pairs, markCount == 0, height == 3 {
                    goesOn = unsafe giveToDict(pairs)
                } else {
                    goesOn = fill(.emptyDict, from: height &- 2)
                }
            case Opcode.appends.rawValue:
                goesOn = fill(.emptyList, from: popMark())
            case Opcode.append.rawValue:
                goesOn = fill(.emptyList, from: height &- 1)
            case Opcode.addItems.rawValue:
                goesOn = give(from: popMark())
            case Opcode.build.rawValue:
                goesOn = give(from: height &- 1)
            case Opcode.tuple1.rawValue, Opcode.tuple2.rawValue, Opcode.tuple3.rawValue:
                goesOn = makeTuple(from: height &- Int(byte(at) &- (Opcode.tuple1.rawValue &- 1)))
            case Opcode.tuple.rawValue, Opcode.frozenSet.rawValue:
                goesOn = makeMarked()
            case Opcode.reduce.rawValue, Opcode.newObj.rawValue, Opcode.stackGlobal.rawValue:
                goesOn = makeOther(from: height &- 2)
            case Opcode.frame.rawValue:
                isPlain = false
                goesOn = skip(9)
            case Opcode.stop.rawValue:
                return unsafe pairs != nil && height == 1 && markCount == 0
            default:
                return false
            }
            if !goesOn { return false }
        }
    }

    /// Replaces the marked values by the tuple or frozenset that the opcode makes of them.
    @inline(__always) private mutating func makeMarked() -> Bool {
        let first = popMark()
        let isMade =
            first == height
            ? push(skipping: 1)
            : byte(at) == Opcode.tuple.rawValue ? makeTuple(from: first) : makeOther(from: first)
        if isMade { unsafe memory.items[first].start = unsafe memory.marks[markCount].start }
        return isMade
    }
}
