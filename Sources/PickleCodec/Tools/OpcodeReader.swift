import Glibc

/// Cuts a pickle into opcodes and arguments, without stack or memo.
@safe struct OpcodeReader {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0
    /// Where the opcode read last begins.
    private(set) var opcodeOffset = 0

    /// One opcode and its argument.
    struct Step {
        let opcode: PickleOpcode
        let offset: Int
        let argument: Argument
        /// Where the argument's bytes are, without lengths, line feeds and quotes.
        let content: Range<Int>

        /// The index of an opcode that stores in the memo or fetches from it; nil where it is no number.
        func memoIndex(in bytes: UnsafeRawBufferPointer) -> UInt64? {
            if case .number(let value) = argument { return UInt64(exactly: value) }
            return unsafe PythonInteger(UnsafeRawBufferPointer(rebasing: bytes[content]), radix: 10)?.magnitude
        }
    }

    enum Argument {
        case none
        case number(Int64)
        case double(Double)
        /// Two's complement, numbers as text, and the kinds of text and bytes.
        case integer, decimal, float, text, rawUnicode, latin1, bytes, bytearray, quoted
        /// Two lines.
        case names
    }

    init(_ bytes: UnsafeRawBufferPointer) {
        unsafe self.bytes = unsafe bytes
    }

    /// The next opcode; nil at the end of the bytes.
    mutating func next() throws(PickleFault) -> Step? {
        opcodeOffset = position
        guard unsafe position < bytes.count else { return nil }
        guard let opcode = unsafe PickleOpcode(rawValue: bytes[position]) else { throw PickleFault(.unknownOpcode) }
        position += 1
        let (argument, content) = try argument(of: opcode)
        return Step(opcode: opcode, offset: opcodeOffset, argument: argument, content: content)
    }

    private mutating func argument(of opcode: PickleOpcode) throws(PickleFault) -> (Argument, Range<Int>) {
        switch opcode {
        case .float: return (.float, try line())
        case .int, .long, .put, .get: return (.decimal, try line())
        case .persID: return (.latin1, try line())
        case .unicode: return (.rawUnicode, try line())
        case .string: return (.quoted, try line())
        case .global, .inst:
            let module = try line()
            let name = try line()
            return (.names, module.lowerBound..<name.upperBound)
        case .binInt, .ext4: return try signed(4)
        case .binInt1, .binPut, .binGet, .ext1, .proto: return try unsigned(1)
        case .binInt2, .ext2: return try unsigned(2)
        case .longBinPut, .longBinGet: return try unsigned(4)
        case .frame: return try unsigned(8)
        case .binFloat:
            let range = try take(8)
            let bits = unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: UInt64.self))
            return (.double(Double(bitPattern: bits)), range)
        case .long1: return (.integer, try take(try length(1)))
        case .long4: return (.integer, try take(try signedLength()))
        case .shortBinString: return (.latin1, try take(try length(1)))
        case .binString: return (.latin1, try take(try signedLength()))
        case .shortBinBytes: return (.bytes, try take(try length(1)))
        case .binBytes: return (.bytes, try take(try length(4)))
        case .binBytes8: return (.bytes, try take(try length(8)))
        case .byteArray8: return (.bytearray, try take(try length(8)))
        case .shortBinUnicode: return (.text, try take(try length(1)))
        case .binUnicode: return (.text, try take(try length(4)))
        case .binUnicode8: return (.text, try take(try length(8)))
        default: return (.none, position..<position)
        }
    }

    private mutating func take(_ count: Int) throws(PickleFault) -> Range<Int> {
        guard unsafe count <= bytes.count - position else { throw PickleFault(.truncated) }
        defer { position += count }
        return position..<(position + count)
    }

    private mutating func word(_ count: Int) throws(PickleFault) -> UInt64 {
        var value: UInt64 = 0
        for index in try take(count).reversed() { value = unsafe value << 8 | UInt64(bytes[index]) }
        return value
    }

    private mutating func length(_ count: Int) throws(PickleFault) -> Int {
        let value = try word(count)
        guard unsafe value <= UInt64(bytes.count) else { throw PickleFault(.truncated) }
        return Int(value)
    }

    private mutating func signedLength() throws(PickleFault) -> Int {
        let value = Int32(truncatingIfNeeded: try word(4))
        guard value >= 0 else { throw PickleFault(.negativeLength) }
        return Int(value)
    }

    private mutating func unsigned(_ count: Int) throws(PickleFault) -> (Argument, Range<Int>) {
        let value = try word(count)
        return (.number(Int64(clamping: value)), position..<position)
    }

    private mutating func signed(_ count: Int) throws(PickleFault) -> (Argument, Range<Int>) {
        (.number(Int64(Int32(truncatingIfNeeded: try word(count)))), position..<position)
    }

    private mutating func line() throws(PickleFault) -> Range<Int> {
        guard unsafe position < bytes.count, let base = unsafe bytes.baseAddress,
            let found = unsafe memchr(base + position, 0x0a, bytes.count - position)
        else { throw PickleFault(.truncatedLine) }
        let range = unsafe position..<(UnsafeRawPointer(found) - base)
        position = range.upperBound + 1
        return range
    }
}
