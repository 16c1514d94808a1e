import Bytes
import JSONCodec
import PickleCodec

extension MessageLocator where Walk == OpcodeWalk {
    /// Appends the name and the arguments of an event, `"update",{"time":1}`, from the tokens of the walk. The text is the
    /// same as from the parser and `writeJSON`: a tuple holds the arguments, None means none, any other value is one.
    ///
    /// - Returns: false if the parser is needed; some bytes may then have been appended. It is needed if the other values
    ///   aren't None, bools and texts, or if the arguments aren't plain data with texts as keys as CPython writes it.
    func appendEvent(name: Int, arguments: Int, to writer: inout JSONWriter, limits: PickleLimits) -> Bool {
        guard isPlain, limits.maximumDepth >= PickleEventWriter.maximumDepth + 2,
            unsafe input.count <= min(limits.maximumNodes, limits.maximumMemoEntries, limits.maximumInputBytes),
            isTrivial(except: arguments), let base = unsafe input.baseAddress, let name = unsafe text(at: name)
        else { return false }
        let tokens = self[arguments].tokens
        let start = writer.count
        unsafe writer.appendString(wtf8: name)
        // Without a limit, texts repeated by the memo could fill gigabytes.
        var event = unsafe PickleEventWriter(base: base, memory: memory, limit: start + 8 * input.count)
        return event.write(Int(tokens.start)..<Int(tokens.end), to: &writer)
    }
}

/// Writes the arguments of an event as JSON from the tokens of a walk.
@safe struct PickleEventWriter {
    private let base: UnsafeRawPointer
    private let memory: OpcodeWalk.Memory
    /// The most bytes in the writer.
    private let limit: Int
    // One bit for each open container, the innermost lowest. In `dicts`: it is a dict; in `keys`: a key comes next in it.
    private var dicts: UInt64 = 0
    private var keys: UInt64 = 0
    private var depth = 0
    private var keyCount = 0
    /// The brackets of the outermost tuple are those of the event.
    private var isSpread = false

    /// The depth for which `dicts` and `keys` have bits.
    static let maximumDepth = 62
    /// The most keys of all open dicts together.
    static let maximumKeys = 1024
    /// The most keys of one dict: comparing a few keys with each other is cheaper than hashing them.
    private static let maximumKeysOfDict = 64

    /// The keys in an open container so far.
    struct Keys: BitwiseCopyable {
        /// The index of its first key.
        let start: Int
        /// Bits chosen by length, first and last byte of each key, so that most keys need not be compared with the others.
        var seen: UInt64 = 0
    }

    fileprivate init(base: UnsafeRawPointer, memory: OpcodeWalk.Memory, limit: Int) {
        unsafe self.base = unsafe base
        self.memory = memory
        self.limit = limit
    }

    /// Writes the values with a comma before them; false if one can't be written, or the writer exceeds its limit.
    fileprivate mutating func write(_ tokens: Range<Int>, to writer: inout JSONWriter) -> Bool {
        let first = unsafe memory.tokens[tokens.lowerBound]
        isSpread = first.opens > 0
        if !isSpread, tokens.count == 1, isWithoutArguments(first) { return true }
        writer.append(UInt8(ascii: ","))
        var index = tokens.lowerBound
        while index < tokens.upperBound {
            let token = unsafe memory.tokens[index]
            let isKey = keys & 1 == 1
            if token.opens > 0 {
                guard !isKey, open(tuples: Int(token.opens), isFirst: index == tokens.lowerBound, &writer) else {
                    return false
                }
            }
            index &+= 1
            if token.isFilled {
                guard !isKey, open(token, &writer) else { return false }
                continue
            }
            if isKey, !passKey(token) { return false }
            guard write(token, to: &writer), writer.count <= limit else { return false }
            var closes = Int(token.closes)
            while closes > 0 {
                close(&writer)
                closes &-= 1
            }
            writer.append(keys & 1 == 1 ? UInt8(ascii: ":") : UInt8(ascii: ","))
            keys ^= dicts & 1
        }
        writer.truncate(to: writer.count - 1)
        return depth == 0
    }

    /// True for data without arguments: None and the empty tuple.
    private func isWithoutArguments(_ token: OpcodeWalk.Token) -> Bool {
        let opcode = byte(Int(token.maker))
        return opcode == Opcode.none.rawValue || opcode == Opcode.emptyTuple.rawValue
    }

    @inline(__always)
    private mutating func open(tuples count: Int, isFirst: Bool, _ writer: inout JSONWriter) -> Bool {
        guard depth &+ count <= Self.maximumDepth else { return false }
        for number in 0..<count {
            if !isFirst || number > 0 { writer.append(UInt8(ascii: "[")) }
            push(isDict: 0)
        }
        return true
    }

    @inline(__always)
    private mutating func open(_ token: OpcodeWalk.Token, _ writer: inout JSONWriter) -> Bool {
        guard depth < Self.maximumDepth else { return false }
        let isDict = byte(Int(token.maker)) == Opcode.emptyDict.rawValue
        writer.append(isDict ? UInt8(ascii: "{") : UInt8(ascii: "["))
        push(isDict: isDict ? 1 : 0)
        return true
    }

    @inline(__always) private mutating func push(isDict: UInt64) {
        unsafe memory.openKeys[depth] = Keys(start: keyCount)
        (dicts, keys, depth) = (dicts &<< 1 | isDict, keys &<< 1 | isDict, depth &+ 1)
    }

    @inline(__always) private mutating func close(_ writer: inout JSONWriter) {
        if depth > 1 || !isSpread {
            writer.append(dicts & 1 == 1 ? UInt8(ascii: "}") : UInt8(ascii: "]"))
        } else {
            isSpread = false
        }
        (dicts, keys, depth) = (dicts &>> 1, keys &>> 1, depth &- 1)
        keyCount = unsafe memory.openKeys[depth].start
    }

    /// Notes a key; false if it isn't text or its dict has it already.
    @inline(__always) private mutating func passKey(_ token: OpcodeWalk.Token) -> Bool {
        let open = unsafe memory.openKeys + (depth &- 1)
        let start = unsafe open.pointee.start
        guard let text = unsafe text(token.maker), keyCount < Self.maximumKeys,
            keyCount &- start < Self.maximumKeysOfDict
        else { return false }
        let mixed =
            unsafe (text.first.map { Int($0) &* 3 } ?? 0) &+ (text.last.map { Int($0) } ?? 0) &+ text.count &* 17
        let bit = UInt64(1) &<< UInt64(truncatingIfNeeded: mixed)
        if unsafe open.pointee.seen & bit != 0 {
            for index in start..<keyCount {
                guard let other = unsafe self.text(memory.keys[index]), unsafe !equalBytes(other, text) else {
                    return false
                }
            }
        }
        unsafe open.pointee.seen |= bit
        unsafe memory.keys[keyCount] = token.maker
        keyCount &+= 1
        return true
    }

    /// The content of a text that an opcode makes.
    @inline(__always) private func text(_ maker: UInt32) -> UnsafeRawBufferPointer? {
        unsafe OpcodeWalk.text(at: maker, base).map {
            unsafe UnsafeRawBufferPointer(start: base + Int($0.start), count: Int($0.end &- $0.start))
        }
    }

    @inline(__always) private func byte(_ position: Int) -> UInt8 {
        unsafe base.load(fromByteOffset: position, as: UInt8.self)
    }

    @inline(__always) private func word32(_ position: Int) -> UInt32 {
        unsafe UInt32(littleEndian: base.loadUnaligned(fromByteOffset: position, as: UInt32.self))
    }

    @inline(__always) private func write(_ token: OpcodeWalk.Token, to writer: inout JSONWriter) -> Bool {
        let position = Int(token.maker)
        switch byte(position) {
        case Opcode.shortBinUnicode.rawValue, Opcode.binUnicode.rawValue:
            guard let text = unsafe text(token.maker) else { return false }
            if unsafe writer.appendUnescapedString(text) { return true }
            guard unsafe WTF8.isValid(text) else { return false }
            unsafe writer.appendString(wtf8: text)
        case Opcode.none.rawValue: writer.append("null")
        case Opcode.newTrue.rawValue: writer.append("true")
        case Opcode.newFalse.rawValue: writer.append("false")
        case Opcode.binInt1.rawValue: writer.appendInteger(UInt64(byte(position &+ 1)))
        case Opcode.binInt2.rawValue:
            let value = unsafe base.loadUnaligned(fromByteOffset: position &+ 1, as: UInt16.self)
            writer.appendInteger(UInt64(UInt16(littleEndian: value)))
        case Opcode.binInt.rawValue:
            writer.appendInteger(Int64(Int32(bitPattern: word32(position &+ 1))))
        case Opcode.long1.rawValue:
            let length = Int(byte(position &+ 1))
            guard length <= 8 else { return false }
            let bytes = unsafe UnsafeRawBufferPointer(start: base + (position &+ 2), count: length)
            unsafe writer.appendInteger(Int64(bitPattern: TwosComplement.word(bytes, length: length)))
        case Opcode.binFloat.rawValue:
            let bits = unsafe base.loadUnaligned(fromByteOffset: position &+ 1, as: UInt64.self)
            writer.appendFloat(Double(bitPattern: UInt64(bigEndian: bits)))
        case Opcode.emptyList.rawValue, Opcode.emptyTuple.rawValue: writer.append("[]")
        case Opcode.emptyDict.rawValue: writer.append("{}")
        default: return false
        }
        return true
    }
}
