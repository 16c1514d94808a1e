import JSONCodec

extension PickleScan {
    /// Appends a text and the arguments of an event, `"update",{"time":1}`, as the full parse and `writeJSON` would, but from
    /// the bytes: a tuple's members are arguments, None is none, everything else is one.
    ///
    /// - Returns: false where the full parse is needed, with anything appended: in the other values is more than None, bools
    ///   and texts, or the arguments aren't plain data as CPython writes it, with texts as keys.
    package mutating func appendEvent(
        name: Int, arguments: Int, to writer: inout JSONWriter, limits: PickleLimits
    ) -> Bool {
        guard count > 0, isMemoStable, isInOneFrame, limits.maximumDepth >= PickleSplice.maximumDepth + 2,
            input.count <= min(limits.maximumNodes, limits.maximumMemoEntries, limits.maximumInputBytes),
            isPlain(except: arguments), let base = input.baseAddress, let name = text(of: value(at: name))
        else { return false }
        let start = writer.count
        writer.appendString(wtf8: name)
        var splice = PickleSplice(base, extent(at: arguments), memory)
        guard splice.readTokens(&tokens) else { return false }
        // What the memo repeats could be gigabytes.
        return splice.write(tokens, to: &writer, upTo: start + 8 * input.count)
    }

    /// Whether the header of its frame says that it ends with the input, or it has none: the scan doesn't look at it.
    private var isInOneFrame: Bool {
        let start = input.first == 0x80 ? 2 : 0
        guard input.count - start >= 10, input[start] == 0x95 else { return true }
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
struct PickleSplice {
    let base: UnsafeRawPointer
    private let end: Int
    private let memory: PickleScanWalk.Memory
    private var at: Int
    private var height = 0
    /// The height at the topmost mark: what a call takes lies above.
    private var fence = 0
    private var markCount = 0

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
    private static let maximumTokens = 1 << 16
    /// Comparing a few keys with each other is cheaper than hashing them.
    private static let maximumKeys = 64

    init(_ base: UnsafeRawPointer, _ extent: Range<Int>, _ memory: PickleScanWalk.Memory) {
        self.base = base
        self.memory = memory
        at = extent.lowerBound
        end = extent.upperBound
    }

    /// The opcode there, which a `PickleScan` has seen with all its argument.
    @inline(__always) func byte(_ place: Int) -> UInt8 { base.load(fromByteOffset: place, as: UInt8.self) }
}

// MARK: First pass

extension PickleSplice {
    /// Finds the values between the bytes; false for what isn't plain data.
    mutating func readTokens(_ tokens: inout RawArray<Token>) -> Bool {
        tokens.truncate(to: 0)
        while at < end {
            switch byte(at) {
            case 0x8c:  // SHORT_BINUNICODE
                guard push(at, &tokens, skipping: 2 &+ Int(byte(at &+ 1))) else { return false }
                if at < end, byte(at) == 0x94 { at &+= 1 }
            case 0x94:  // MEMOIZE
                guard put(skipping: 1) else { return false }
            case 0x71:  // BINPUT
                guard put(skipping: 2) else { return false }
            case 0x72:  // LONG_BINPUT
                guard put(skipping: 5) else { return false }
            case 0x68:  // BINGET
                guard pushText(at: Int(byte(at &+ 1)), &tokens, skipping: 2) else { return false }
            case 0x6a:  // LONG_BINGET
                guard pushText(at: word32(at &+ 1), &tokens, skipping: 5) else { return false }
            case 0x4e, 0x88, 0x89, 0x5d, 0x7d, 0x29:
                // NONE, NEWTRUE, NEWFALSE, EMPTY_LIST, EMPTY_DICT, EMPTY_TUPLE
                guard push(at, &tokens, skipping: 1) else { return false }
            case 0x4b:  // BININT1
                guard push(at, &tokens, skipping: 2) else { return false }
            case 0x4d:  // BININT2
                guard push(at, &tokens, skipping: 3) else { return false }
            case 0x4a:  // BININT
                guard push(at, &tokens, skipping: 5) else { return false }
            case 0x47:  // BINFLOAT
                guard push(at, &tokens, skipping: 9) else { return false }
            case 0x8a:  // LONG1
                let length = Int(byte(at &+ 1))
                guard length <= 8, push(at, &tokens, skipping: 2 &+ length) else { return false }
            case 0x58:  // BINUNICODE
                guard push(at, &tokens, skipping: 5 &+ word32(at &+ 1)) else { return false }
            case 0x28:  // MARK
                guard markCount < PickleScanWalk.markCapacity else { return false }
                memory.marks[markCount] = .init(height: UInt32(truncatingIfNeeded: fence), start: 0)
                markCount &+= 1
                fence = height
                at &+= 1
            case 0x85, 0x86, 0x87:  // TUPLE1, TUPLE2, TUPLE3
                guard makeTuple(from: height &- Int(byte(at) &- 0x84), &tokens) else { return false }
            case 0x74:  // TUPLE
                let mark = fence
                guard popMark(), mark < height, makeTuple(from: mark, &tokens) else { return false }
            case 0x61:  // APPEND
                guard fill(0x5d, from: height &- 1, &tokens) else { return false }
            case 0x65:  // APPENDS
                let mark = fence
                guard popMark(), fill(0x5d, from: mark, &tokens) else { return false }
            case 0x73:  // SETITEM
                guard hasDistinctKeys(from: height &- 2, tokens), fill(0x7d, from: height &- 2, &tokens) else {
                    return false
                }
            case 0x75:  // SETITEMS
                let mark = fence
                guard popMark(), hasDistinctKeys(from: mark, tokens), fill(0x7d, from: mark, &tokens) else {
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
    private mutating func push(_ maker: Int, _ tokens: inout RawArray<Token>, skipping count: Int) -> Bool {
        guard height < PickleScanWalk.stackCapacity, tokens.count < Self.maximumTokens else { return false }
        memory.items[height] = .init(maker: UInt32(truncatingIfNeeded: tokens.count), start: 0)
        height &+= 1
        tokens.append(Token(maker: UInt32(truncatingIfNeeded: maker)))
        at &+= count
        return true
    }

    /// The memo is the scan's; here only that there is something to be put in it.
    @inline(__always) private mutating func put(skipping count: Int) -> Bool {
        at &+= count
        return height > fence
    }

    /// Pushes what is in the memo, if it is a text.
    private mutating func pushText(at index: Int, _ tokens: inout RawArray<Token>, skipping count: Int) -> Bool {
        guard index < PickleScanWalk.memoCapacity, isText(memory.memo[index]) else { return false }
        return push(Int(memory.memo[index]), &tokens, skipping: count)
    }

    @inline(__always) private func isText(_ maker: UInt32) -> Bool {
        let opcode = byte(Int(maker))
        return opcode == 0x8c || opcode == 0x58
    }

    /// Removes the topmost mark, so that `fence` is the one below it.
    @inline(__always) private mutating func popMark() -> Bool {
        guard markCount > 0 else { return false }
        markCount &-= 1
        fence = Int(memory.marks[markCount].height)
        return true
    }

    /// Makes one value of those from a height on; `start` tells it from its first member's token.
    @inline(__always) private mutating func makeTuple(from first: Int, _ tokens: inout RawArray<Token>) -> Bool {
        guard first >= fence, first < height else { return false }
        let token = Int(memory.items[first].maker)
        let last = tokens.count &- 1
        guard tokens[token].opens < .max, tokens[last].closes < .max else { return false }
        tokens[token].opens &+= 1
        tokens[last].closes &+= 1
        memory.items[first].start = 1
        height = first &+ 1
        at &+= 1
        return true
    }

    /// Gives the values from a height on to the list or dict below them, which has none yet.
    @inline(__always)
    private mutating func fill(_ opcode: UInt8, from first: Int, _ tokens: inout RawArray<Token>) -> Bool {
        guard first > fence, first < height, memory.items[first &- 1].start == 0 else { return false }
        let token = Int(memory.items[first &- 1].maker)
        let last = tokens.count &- 1
        guard byte(Int(tokens[token].maker)) == opcode, !tokens[token].isFilled, tokens[last].closes < .max else {
            return false
        }
        tokens[token].isFilled = true
        tokens[last].closes &+= 1
        height = first
        at &+= 1
        return true
    }

    /// Whether the values from a height on are pairs whose keys are texts, no two the same.
    @inline(__always) private func hasDistinctKeys(from first: Int, _ tokens: borrowing RawArray<Token>) -> Bool {
        guard first >= 0, (height &- first) & 1 == 0, height &- first <= 2 &* Self.maximumKeys else { return false }
        // Lengths and letters that were met, so that most keys need not be compared with the others.
        var met: UInt64 = 0
        var place = first
        while place < height {
            guard memory.items[place].start == 0, let text = text(of: memory.items[place], tokens) else { return false }
            if height &- first > 2 {
                let mixed =
                    (text.first.map { Int($0) &* 3 } ?? 0) &+ (text.last.map { Int($0) } ?? 0) &+ text.count &* 17
                let bit = UInt64(1) &<< UInt64(truncatingIfNeeded: mixed)
                if met & bit != 0 {
                    var other = first
                    while other < place {
                        if self.text(of: memory.items[other], tokens).map({ equalShortBytes($0, text) }) ?? true {
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
    private func text(of item: PickleScanWalk.Item, _ tokens: borrowing RawArray<Token>) -> UnsafeRawBufferPointer? {
        text(of: tokens[item.maker])
    }

    /// The content of a text.
    @inline(__always) func text(of token: Token) -> UnsafeRawBufferPointer? {
        PickleScan.text(at: token.maker, base).map {
            UnsafeRawBufferPointer(start: base + $0.lowerBound, count: $0.count)
        }
    }
}
