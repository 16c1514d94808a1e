import Bytes
import PickleCodec

extension PickleLocator {
    /// Appends a text and the arguments of an event, `"update",{"time":1}`, as the parser and `writeJSON` would, but from
    /// the bytes: a tuple's members are arguments, None is none, everything else is one.
    ///
    /// - Returns: false where the parser is needed, with anything appended: in the other values is more than None, bools
    ///   and texts, or the arguments aren't plain data as CPython writes it, with texts as keys.
    func appendEvent(name: Int, arguments: Int, to writer: inout JSONWriter, limits: PickleLimits) -> Bool {
        guard count > 0, isMemoStable, isInOneFrame, limits.maximumDepth >= PickleTranscoder.maximumDepth + 2,
            input.count <= min(limits.maximumNodes, limits.maximumMemoEntries, limits.maximumInputBytes),
            isTrivial(except: arguments), let base = input.baseAddress, let name = text(at: name)
        else { return false }
        let start = writer.count
        writer.appendString(wtf8: name)
        var transcoder = PickleTranscoder(base, extent(at: arguments), memory)
        guard transcoder.readTokens() else { return false }
        // Texts repeated by the memo could make gigabytes.
        return transcoder.write(to: &writer, upTo: start + 8 * input.count)
    }

    /// Whether the header of its frame says that it ends with the input, or it has none: the locator doesn't look at it.
    private var isInOneFrame: Bool {
        let start = input.first == Opcode.proto.rawValue ? 2 : 0
        guard input.count - start >= 10, input[start] == Opcode.frame.rawValue else { return true }
        let length = UInt64(littleEndian: input.loadUnaligned(fromByteOffset: start + 1, as: UInt64.self))
        return length == UInt64(input.count - start - 9)
    }
}

/// Writes a pickled value as JSON in two passes over its bytes: one finds out which values hold which, the other writes.
///
/// Opcodes of lists and dicts come before what they hold, those of tuples behind; and an empty list looks like the beginning
/// of one with items. So each opcode that makes a value becomes a token, which notes what opens before it and closes after.
///
///     ](K\x01K\x02\x86K\x03e     [ [ 1 , 2 ] , 3 ]     tokens: [, 1 opening a tuple, 2 closing it, 3 closing the list
struct PickleTranscoder {
    let base: UnsafeRawPointer
    private let end: Int
    let memory: OpcodeWalk.Memory
    private var at: Int
    private var height = 0
    /// The height at the topmost mark: what a call takes lies above.
    private var fence = 0
    private var markCount = 0
    /// Tokens read.
    private(set) var tokenCount = 0

    /// A value, in the order of writing.
    struct Token: BitwiseCopyable {
        /// Its opcode.
        let maker: UInt32
        /// Tuples that begin with it.
        var opens: UInt8 = 0
        /// Containers that end with it.
        var closes: UInt8 = 0
        /// A list or dict that holds something.
        var isFilled = false
    }

    /// A bit for each container around a value.
    static let maximumDepth = 62
    static let tokenCapacity = 1 << 16
    /// Comparing a few keys with each other is cheaper than hashing them.
    private static let maximumKeys = 64

    init(_ base: UnsafeRawPointer, _ extent: Range<Int>, _ memory: OpcodeWalk.Memory) {
        self.base = base
        self.memory = memory
        at = extent.lowerBound
        end = extent.upperBound
    }

    /// The opcode there, which a `PickleLocator` has seen with all its argument.
    @inline(__always) func byte(_ place: Int) -> UInt8 { base.load(fromByteOffset: place, as: UInt8.self) }
}

// MARK: First pass

extension PickleTranscoder {
    /// Finds the values between the bytes; false for what isn't plain data.
    mutating func readTokens() -> Bool {
        while at < end {
            switch byte(at) {
            case Opcode.shortBinUnicode.rawValue:
                guard push(at, skipping: 2 &+ Int(byte(at &+ 1))) else { return false }
                if at < end, byte(at) == Opcode.memoize.rawValue { at &+= 1 }
            case Opcode.memoize.rawValue:
                guard put(skipping: 1) else { return false }
            case Opcode.binPut.rawValue:
                guard put(skipping: 2) else { return false }
            case Opcode.longBinPut.rawValue:
                guard put(skipping: 5) else { return false }
            case Opcode.binGet.rawValue:
                guard pushText(at: Int(byte(at &+ 1)), skipping: 2) else { return false }
            case Opcode.longBinGet.rawValue:
                guard pushText(at: word32(at &+ 1), skipping: 5) else { return false }
            case Opcode.none.rawValue, Opcode.newTrue.rawValue, Opcode.newFalse.rawValue, Opcode.emptyList.rawValue,
                Opcode.emptyDict.rawValue,
                Opcode.emptyTuple.rawValue:
                guard push(at, skipping: 1) else { return false }
            case Opcode.binInt1.rawValue:
                guard push(at, skipping: 2) else { return false }
            case Opcode.binInt2.rawValue:
                guard push(at, skipping: 3) else { return false }
            case Opcode.binInt.rawValue:
                guard push(at, skipping: 5) else { return false }
            case Opcode.binFloat.rawValue:
                guard push(at, skipping: 9) else { return false }
            case Opcode.long1.rawValue:
                let length = Int(byte(at &+ 1))
                guard length <= 8, push(at, skipping: 2 &+ length) else { return false }
            case Opcode.binUnicode.rawValue:
                guard push(at, skipping: 5 &+ word32(at &+ 1)) else { return false }
            case Opcode.mark.rawValue:
                guard markCount < OpcodeWalk.markCapacity else { return false }
                memory.marks[markCount] = .init(height: UInt32(truncatingIfNeeded: fence), start: 0)
                markCount &+= 1
                fence = height
                at &+= 1
            case Opcode.tuple1.rawValue, Opcode.tuple2.rawValue, Opcode.tuple3.rawValue:
                guard makeTuple(from: height &- Int(byte(at) &- (Opcode.tuple1.rawValue &- 1))) else { return false }
            case Opcode.tuple.rawValue:
                let mark = fence
                guard popMark(), mark < height, makeTuple(from: mark) else { return false }
            case Opcode.append.rawValue:
                guard fill(.emptyList, from: height &- 1) else { return false }
            case Opcode.appends.rawValue:
                let mark = fence
                guard popMark(), fill(.emptyList, from: mark) else { return false }
            case Opcode.setItem.rawValue:
                guard hasDistinctKeys(from: height &- 2), fill(.emptyDict, from: height &- 2) else {
                    return false
                }
            case Opcode.setItems.rawValue:
                let mark = fence
                guard popMark(), hasDistinctKeys(from: mark), fill(.emptyDict, from: mark) else {
                    return false
                }
            default: return false
            }
        }
        return height == 1 && markCount == 0
    }

    func word32(_ place: Int) -> Int {
        Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: place, as: UInt32.self)))
    }

    @inline(__always)
    private mutating func push(_ maker: Int, skipping count: Int) -> Bool {
        guard height < OpcodeWalk.stackCapacity, tokenCount < Self.tokenCapacity else { return false }
        memory.items[height] = .init(maker: UInt32(truncatingIfNeeded: tokenCount), start: 0)
        height &+= 1
        memory.tokens[tokenCount] = Token(maker: UInt32(truncatingIfNeeded: maker))
        tokenCount &+= 1
        at &+= count
        return true
    }

    /// The locator has filled the memo; this only checks that there is a value to store.
    @inline(__always) private mutating func put(skipping count: Int) -> Bool {
        at &+= count
        return height > fence
    }

    /// Pushes what is in the memo, if it is a text.
    private mutating func pushText(at index: Int, skipping count: Int) -> Bool {
        guard index < OpcodeWalk.memoCapacity, isText(memory.memo[index]) else { return false }
        return push(Int(memory.memo[index]), skipping: count)
    }

    @inline(__always) private func isText(_ maker: UInt32) -> Bool {
        let opcode = byte(Int(maker))
        return opcode == Opcode.shortBinUnicode.rawValue || opcode == Opcode.binUnicode.rawValue
    }

    /// Removes the topmost mark, so that `fence` is the one below it.
    @inline(__always) private mutating func popMark() -> Bool {
        guard markCount > 0 else { return false }
        markCount &-= 1
        fence = Int(memory.marks[markCount].height)
        return true
    }

    /// Makes one value of those from a height on; `start` tells it from its first member's token.
    @inline(__always) private mutating func makeTuple(from first: Int) -> Bool {
        guard first >= fence, first < height else { return false }
        let token = Int(memory.items[first].maker)
        let last = tokenCount &- 1
        guard memory.tokens[token].opens < .max, memory.tokens[last].closes < .max else { return false }
        memory.tokens[token].opens &+= 1
        memory.tokens[last].closes &+= 1
        memory.items[first].start = 1
        height = first &+ 1
        at &+= 1
        return true
    }

    /// Gives the values from a height on to the list or dict below them, which has none yet.
    @inline(__always)
    private mutating func fill(_ opcode: Opcode, from first: Int) -> Bool {
        guard first > fence, first < height, memory.items[first &- 1].start == 0 else { return false }
        let token = Int(memory.items[first &- 1].maker)
        let last = tokenCount &- 1
        guard byte(Int(memory.tokens[token].maker)) == opcode.rawValue, !memory.tokens[token].isFilled,
            memory.tokens[last].closes < .max
        else {
            return false
        }
        memory.tokens[token].isFilled = true
        memory.tokens[last].closes &+= 1
        height = first
        at &+= 1
        return true
    }

    /// Whether the values from a height on are pairs whose keys are texts, no two the same.
    @inline(__always) private func hasDistinctKeys(from first: Int) -> Bool {
        guard first >= 0, (height &- first) & 1 == 0, height &- first <= 2 &* Self.maximumKeys else { return false }
        // Lengths and letters that were met, so that most keys need not be compared with the others.
        var met: UInt64 = 0
        var place = first
        while place < height {
            guard memory.items[place].start == 0, let text = text(of: memory.items[place]) else { return false }
            if height &- first > 2 {
                let mixed =
                    (text.first.map { Int($0) &* 3 } ?? 0) &+ (text.last.map { Int($0) } ?? 0) &+ text.count &* 17
                let bit = UInt64(1) &<< UInt64(truncatingIfNeeded: mixed)
                if met & bit != 0 {
                    var other = first
                    while other < place {
                        if self.text(of: memory.items[other]).map({ equalBytes($0, text) }) ?? true {
                            return false
                        }
                        other &+= 2
                    }
                }
                met |= bit
            }
            place &+= 2
        }
        return true
    }

    @inline(__always)
    private func text(of item: OpcodeWalk.Item) -> UnsafeRawBufferPointer? {
        text(of: memory.tokens[Int(item.maker)])
    }

    /// The content of a text.
    @inline(__always) func text(of token: Token) -> UnsafeRawBufferPointer? {
        PickleLocator.text(at: token.maker, base).map {
            UnsafeRawBufferPointer(start: base + $0.lowerBound, count: $0.count)
        }
    }
}
