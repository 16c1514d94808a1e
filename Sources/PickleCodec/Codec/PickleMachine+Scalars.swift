import Bytes

extension PickleMachine {
    @inline(__always) mutating func pushInteger(_ value: Int64) throws(PickleFault) {
        var node = TapeNode(kind: .int)
        node.word = UInt64(bitPattern: value)
        try push(node)
    }

    @inline(__always) mutating func pushFloat(bits: UInt64) throws(PickleFault) {
        var node = TapeNode(kind: .float)
        node.word = bits
        try push(node)
    }

    /// LONG1 and LONG4: two's complement, little-endian, possibly padded.
    mutating func pushBinaryInteger(length: Int) throws(PickleFault) {
        let offset = try take(length)
        if length > limits.maximumIntegerBytes {
            throw PickleFault(.integerTooLong, UInt64(limits.maximumIntegerBytes))
        }
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: tape.input[offset..<(offset + length)])
        try unsafe push(try integerNode(bytes, offset: offset, flags: []))
    }

    /// A node for two's complement bytes: a 64-bit value where it fits, else the bytes without padding.
    func integerNode(
        _ bytes: UnsafeRawBufferPointer, offset: Int, flags: TapeNode.Flags
    ) throws(PickleFault) -> TapeNode {
        guard offset <= Int(UInt32.max) else { throw PickleFault(.inputTooLong, UInt64(offset)) }
        let length = unsafe TwosComplement.minimalLength(bytes)
        var node = TapeNode(kind: .int)
        if length <= 8 {
            node.word = unsafe TwosComplement.word(bytes, length: length)
        } else {
            node.flags = flags.union(.big)
            node.count = UInt32(length)
            node.first = UInt32(offset)
        }
        return node
    }

    /// str of the binary opcodes: checked and not copied.
    @inline(__always) mutating func pushText(length: Int) throws(PickleFault) {
        let offset = try take(length)
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: tape.input[offset..<(offset + length)])
        let isASCII = unsafe WTF8.isASCII(bytes)
        if !isASCII, unsafe !WTF8.isValidBeyondASCII(bytes) { throw PickleFault(.invalidText) }
        try push(
            TapeNode(
                kind: .str, flags: TapeNode.Flags(rawValue: isASCII ? TapeNode.Flags.ascii.rawValue : 0),
                count: UInt32(truncatingIfNeeded: length),
                first: UInt32(truncatingIfNeeded: offset)))
    }

    mutating func pushBytes(_ kind: PickleKind, length: Int) throws(PickleFault) {
        let offset = try take(length)
        let flags: TapeNode.Flags = kind == .bytearray ? .unhashable : []
        try push(TapeNode(kind: kind, flags: flags, count: UInt32(length), first: UInt32(offset)))
    }

    /// NEXT_BUFFER: the caller's next out-of-band buffer, writable until READONLY_BUFFER says otherwise.
    mutating func pushNextBuffer() throws(PickleFault) {
        guard unsafe nextBuffer < buffers.count else { throw PickleFault(.noBuffer) }
        let buffer = unsafe buffers[nextBuffer]
        nextBuffer += 1
        let start = tape.scratch.count
        unsafe tape.scratch.append(buffer)
        try push(try scratchNode(.bytearray, from: start))
    }

    /// READONLY_BUFFER: a bytearray becomes bytes, as a new value: the memo may still hold the writable one.
    mutating func makeBufferReadOnly() throws(PickleFault) {
        var node = tape.nodes[try top()]
        switch node.kind {
        case .bytes: return
        case .bytearray:
            node.kind = .bytes
            node.flags.remove(.unhashable)
            _ = stack.removeLast()
            try push(node)
        default: throw PickleFault(.notABuffer)
        }
    }

    /// A node for the bytes written to `scratch` since `start`.
    func scratchNode(_ kind: PickleKind, from start: Int) throws(PickleFault) -> TapeNode {
        guard tape.scratch.count <= Int(UInt32.max) else {
            throw PickleFault(.inputTooLong, UInt64(tape.scratch.count))
        }
        var flags: TapeNode.Flags = .inScratch
        if kind == .bytearray { flags.insert(.unhashable) }
        return TapeNode(
            kind: kind, flags: flags, count: UInt32(tape.scratch.count - start), first: UInt32(start))
    }
}

/// Little-endian two's complement, as LONG1 has it.
package enum TwosComplement {
    /// Length without the bytes that only repeat the sign; 0 for zero.
    static func minimalLength(_ bytes: UnsafeRawBufferPointer) -> Int {
        var length = bytes.count
        while length > 0 {
            let byte = unsafe bytes[length - 1]
            let below = unsafe length > 1 ? bytes[length - 2] : 0
            if byte == 0, below < 0x80 {
                length -= 1
            } else if byte == 0xff, length > 1, below >= 0x80 {
                length -= 1
            } else {
                break
            }
        }
        return length
    }

    /// The value of at most 8 bytes, sign-extended.
    package static func word(_ bytes: UnsafeRawBufferPointer, length: Int) -> UInt64 {
        guard length > 0 else { return 0 }
        var word: UInt64 = unsafe bytes[length - 1] >= 0x80 ? .max : 0
        for index in stride(from: length - 1, through: 0, by: -1) { word = unsafe word << 8 | UInt64(bytes[index]) }
        return word
    }
}
