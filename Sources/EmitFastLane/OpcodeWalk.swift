import Bytes
import Glibc
import PickleCodec

typealias Opcode = PickleOpcode

/// The stack machine of a `PickleLocator`: offsets in place of values.
///
/// Stack and memo say at which opcode each value was made, and nothing is built. Every read is within the input, every
/// item within its memory: an opcode that could leave them, or that plain data doesn't have, ends the walk.
struct OpcodeWalk {
    let base: UnsafeRawPointer
    let end: Int
    let memory: Memory
    var at = 0
    private(set) var height = 0
    private var markCount = 0
    private(set) var memoCount = 0
    /// Whether what was stored in the memo stays there: each index follows the one before.
    private(set) var isMemoStable = true
    /// The offset of the dict's opcode.
    private(set) var dict: UInt32 = 0
    /// Pairs of the dict so far.
    private(set) var pairCount = 0
    /// What lies below is not touched: items, marks and memo of a walk over one value. Of a whole pickle the dict, no marks,
    /// nothing.
    private var floor = (height: 1, marks: 0, memo: 0)
    /// Bytes at which the walk over one value ends.
    private var follower = UnsafeRawBufferPointer(start: nil, count: 0)

    /// A batch of 1000 pairs in a batch of 1000 pairs; what takes more is left to the parser.
    static let stackCapacity = 4096
    static let memoCapacity = 4096
    static let markCapacity = 256
    /// Keys of a message are nine.
    static let pairCapacity = 32

    /// A value on the stack.
    struct Item: BitwiseCopyable {
        /// Offset of the opcode that made it; of where it was made first, if it comes from the memo.
        var maker: UInt32
        /// Where it starts in the pickle.
        var start: UInt32
    }

    /// The height of the stack at a MARK, and where that is in the pickle.
    struct Mark: BitwiseCopyable {
        var height: UInt32
        var start: UInt32
    }

    /// What the walk works in, allocated once.
    struct Memory: BitwiseCopyable {
        let pairs = UnsafeMutablePointer<PickleLocator.Pair>.allocate(capacity: pairCapacity)
        let items = UnsafeMutablePointer<Item>.allocate(capacity: stackCapacity)
        let memo = UnsafeMutablePointer<UInt32>.allocate(capacity: memoCapacity)
        let marks = UnsafeMutablePointer<Mark>.allocate(capacity: markCapacity)
        /// Pages that are never written take no memory.
        let tokens = UnsafeMutablePointer<PickleTranscoder.Token>.allocate(capacity: PickleTranscoder.tokenCapacity)

        func deallocate() {
            pairs.deallocate()
            items.deallocate()
            memo.deallocate()
            marks.deallocate()
            tokens.deallocate()
        }
    }

    init(_ base: UnsafeRawPointer, _ count: Int, _ memory: Memory) {
        self.base = base
        end = count
        self.memory = memory
    }

    var here: UInt32 { UInt32(truncatingIfNeeded: at) }

    func byte(_ offset: Int) -> UInt8 { base.load(fromByteOffset: offset, as: UInt8.self) }

    /// Walks through the pickle; false when it isn't a dict that ends with STOP, or isn't as plain as that.
    mutating func run() -> Bool {
        enterDict() && execute()
    }

    /// Walks over the value of a pair, up to the bytes that follow it.
    ///
    /// - Parameters:
    ///   - pair: its place; the stack is what it is after its key.
    ///   - key: the opcode that made the key.
    ///   - memoCount: entries of the memo, of which none may be fetched.
    ///   - follower: begins with a text, and leaves stack and marks as they are after the value if it stands there.
    /// - Returns: the value; nil if the bytes were not met.
    mutating func value(
        ofPair pair: Int, key: UInt32, memoCount: Int, follower: UnsafeRawBufferPointer
    ) -> UInt32? {
        height = 2 &* pair &+ 2
        memory.items[height &- 1] = Item(maker: key, start: key)
        markCount = 1
        memory.marks[0] = Mark(height: 1, start: 0)
        self.memoCount = memoCount
        floor = (height, 1, memoCount)
        self.follower = follower
        return execute() ? memory.items[floor.height].maker : nil
    }

    /// Whether the walk over one value has come to what follows it.
    @inline(__always) private func isAtFollower() -> Bool {
        height == floor.height &+ 1 && markCount == floor.marks && hasBytes(follower)
    }

    /// Whether these bytes come next; false for none.
    @inline(__always) func hasBytes(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let other = bytes.baseAddress, end &- at >= bytes.count else { return false }
        return memcmp(base + at, other, bytes.count) == 0
    }

    /// Walks up to and with the opcode that makes the dict.
    @inline(__always) mutating func enterDict() -> Bool {
        if end >= 12, byte(0) == Opcode.proto.rawValue, byte(1) <= 5 { at = 2 }
        if end &- at >= 10, byte(at) == Opcode.frame.rawValue { at += 9 }
        guard end &- at >= 2, byte(at) == Opcode.emptyDict.rawValue else { return false }
        dict = here
        return push(skipping: 1)
    }

    /// Notes the items above the dict as pairs, and returns how many there are now; -1 if they are no pairs with texts as
    /// keys, or too many.
    private static func takePairs(
        _ count: Int, _ height: Int, _ memory: Memory, _ base: UnsafeRawPointer, end: UInt32
    ) -> Int {
        guard height & 1 == 1, count &+ height / 2 <= pairCapacity else { return -1 }
        var place = count
        var at = 1
        while at < height {
            let key = memory.items[at]
            let value = memory.items[at &+ 1]
            guard let text = PickleLocator.text(at: key.maker, base) else { return -1 }
            let next = at &+ 2 < height ? memory.items[at &+ 2].start : end
            memory.pairs[place] = PickleLocator.Pair(
                key: key.maker, keyStart: UInt32(truncatingIfNeeded: text.lowerBound),
                keyLength: UInt32(truncatingIfNeeded: text.count), value: value.maker,
                start: value.start, end: next)
            place &+= 1
            at &+= 2
        }
        return place
    }
}

// MARK: Steps: false ends the walk

extension OpcodeWalk {
    /// Passes some bytes. At least one, STOP, must follow.
    @inline(__always) private mutating func skip(_ count: Int) -> Bool {
        if end &- at <= count { return false }
        at &+= count
        return true
    }

    /// Puts the value on the stack that the next bytes make.
    @inline(__always) private mutating func push(skipping count: Int) -> Bool {
        if height == Self.stackCapacity { return false }
        memory.items[height] = Item(maker: here, start: here)
        height &+= 1
        return skip(count)
    }

    /// Puts the value on the stack that an opcode with a length makes.
    @inline(__always)
    private mutating func push<T: FixedWidthInteger & BitwiseCopyable>(lengthOf _: T.Type) -> Bool {
        let size = 1 &+ MemoryLayout<T>.size
        if end &- at <= size { return false }
        let length = T(littleEndian: base.loadUnaligned(fromByteOffset: at &+ 1, as: T.self))
        return push(skipping: size &+ Int(truncatingIfNeeded: length))
    }

    /// Replaces the topmost values by one that the opcode makes of them.
    @inline(__always) private mutating func combine(_ count: Int) -> Bool {
        if height &- count < floor.height { return false }
        height &-= count &- 1
        memory.items[height &- 1].maker = here
        return skip(1)
    }

    /// Drops values that the opcode gives to the one below them.
    @inline(__always) private mutating func give(_ count: Int) -> Bool {
        if height &- count <= floor.height { return false }
        height &-= count
        return skip(1)
    }

    /// Gives everything above the dict to it.
    @inline(__always) private mutating func giveToDict() -> Bool {
        pairCount = Self.takePairs(pairCount, height, memory, base, end: here)
        height = 1
        return pairCount >= 0 && skip(1)
    }

    /// The height of the topmost mark, which is removed; -1 when there is none.
    @inline(__always) private mutating func popMark() -> Int {
        if markCount == floor.marks { return -1 }
        markCount &-= 1
        return Int(memory.marks[markCount].height)
    }

    @inline(__always) private mutating func pushMark() -> Bool {
        if markCount == Self.markCapacity { return false }
        memory.marks[markCount] = Mark(height: UInt32(truncatingIfNeeded: height), start: here)
        markCount &+= 1
        return skip(1)
    }

    /// Gives the marked values to the one below them.
    private mutating func giveMarked() -> Bool {
        let mark = popMark()
        if mark <= floor.height || mark > height { return false }
        height = mark
        return skip(1)
    }

    /// Replaces the marked values by one that the opcode makes of them.
    private mutating func combineMarked() -> Bool {
        let mark = popMark()
        if mark < floor.height || mark > height { return false }
        guard mark == height ? push(skipping: 1) : combine(height &- mark) else { return false }
        memory.items[mark].start = memory.marks[markCount].start
        return true
    }

    /// Stores the topmost value in the memo. Indices that don't follow each other are for the parser.
    @inline(__always) private mutating func store(at index: Int) -> Bool {
        if index > memoCount { return false }
        if index < memoCount { isMemoStable = false }
        if index < Self.memoCapacity { memory.memo[index] = memory.items[height &- 1].maker }
        if index == memoCount { memoCount &+= 1 }
        return true
    }

    /// Puts a value from the memo on the stack; not the dict itself, which could then be changed out of sight.
    @inline(__always) private mutating func fetch(at index: Int, skipping count: Int) -> Bool {
        if index >= memoCount || index >= Self.memoCapacity || index < floor.memo { return false }
        if memory.memo[index] == dict { return false }
        guard push(skipping: count) else { return false }
        memory.items[height &- 1].maker = memory.memo[index]
        return true
    }
}

// MARK: The opcodes

extension OpcodeWalk {
    /// Like `PickleMachine.run`, a flat switch over bytes.
    @inline(never) private mutating func execute() -> Bool {
        while true {
            let goesOn: Bool
            switch byte(at) {
            case Opcode.shortBinUnicode.rawValue:
                repeat {
                    if isAtFollower() { return true }
                    guard push(lengthOf: UInt8.self) else { return false }
                    if byte(at) == Opcode.memoize.rawValue {
                        guard store(at: memoCount), skip(1) else { return false }
                    }
                } while byte(at) == Opcode.shortBinUnicode.rawValue
                continue
            case Opcode.memoize.rawValue:
                goesOn = store(at: memoCount) && skip(1)
            case Opcode.binGet.rawValue:
                goesOn = end &- at > 2 && fetch(at: Int(byte(at &+ 1)), skipping: 2)
            case Opcode.longBinGet.rawValue:
                goesOn = end &- at > 5 && fetch(at: word32(), skipping: 5)
            case Opcode.binPut.rawValue:
                goesOn = end &- at > 2 && store(at: Int(byte(at &+ 1))) && skip(2)
            case Opcode.longBinPut.rawValue:
                goesOn = end &- at > 5 && store(at: word32()) && skip(5)
            case Opcode.none.rawValue, Opcode.newTrue.rawValue, Opcode.newFalse.rawValue, Opcode.emptyList.rawValue,
                Opcode.emptyDict.rawValue, Opcode.emptySet.rawValue,
                Opcode.emptyTuple.rawValue:
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
                if markCount == 1, floor.marks == 0, memory.marks[0].height == 1 {
                    markCount = 0
                    goesOn = giveToDict()
                } else {
                    goesOn = giveMarked()
                }
            case Opcode.setItem.rawValue:
                goesOn = markCount == 0 && height == 3 ? giveToDict() : give(2)
            case Opcode.appends.rawValue, Opcode.addItems.rawValue:
                goesOn = giveMarked()
            case Opcode.append.rawValue, Opcode.build.rawValue:
                goesOn = give(1)
            case Opcode.tuple.rawValue, Opcode.frozenSet.rawValue:
                goesOn = combineMarked()
            case Opcode.tuple1.rawValue:
                goesOn = combine(1)
            case Opcode.tuple2.rawValue, Opcode.stackGlobal.rawValue, Opcode.reduce.rawValue, Opcode.newObj.rawValue:
                goesOn = combine(2)
            case Opcode.tuple3.rawValue:
                goesOn = combine(3)
            case Opcode.frame.rawValue:
                goesOn = skip(9)
            case Opcode.stop.rawValue:
                return height == 1 && markCount == 0
            default:
                return false
            }
            if !goesOn { return false }
        }
    }

    /// The four bytes after the opcode.
    private func word32() -> Int {
        Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: at &+ 1, as: UInt32.self)))
    }
}
