extension PickleMachine {
    /// Executes the loaded pickle up to STOP and returns the node of its value. `at` is then behind STOP.
    ///
    /// One flat switch over the opcodes of `pickletools.opcodes`, grouped like there. Over bytes, because a switch over
    /// `PickleOpcode` would be two jumps: one from byte to case, one from case to code.
    mutating func run() throws(PickleFault) -> UInt32 {
        while true {
            if at == end {
                isInFrame = false
                end = tape.input.count
            }
            opcodeOffset = at
            if at >= end { throw PickleFault(.truncated) }
            let byte = tape.input.loadUnaligned(fromByteOffset: at, as: UInt8.self)
            at &+= 1
            switch byte {
            case 0x8c:  // SHORT_BINUNICODE
                // Texts come in rows, each with its MEMOIZE: half the jumps of a message, which predict badly, are saved
                // by looking at the next byte here.
                repeat {
                    try pushText(length: Int(try takeInteger(UInt8.self)))
                    if isNext(0x94) { try memoize(UInt32(truncatingIfNeeded: tape.nodes.count &- 1)) }
                } while isNext(0x8c)
            case 0x94:  // MEMOIZE
                try memoize(try top())
            case 0x68:  // BINGET
                try fetch(at: UInt64(try takeInteger(UInt8.self)))
            case 0x4e:  // NONE
                stack.append(PickleTape.none)
            case 0x88:  // NEWTRUE
                stack.append(PickleTape.true)
            case 0x89:  // NEWFALSE
                stack.append(PickleTape.false)

            // Numbers
            case 0x4b:  // BININT1
                try pushInteger(Int64(try takeInteger(UInt8.self)))
            case 0x4d:  // BININT2
                try pushInteger(Int64(try takeInteger(UInt16.self)))
            case 0x4a:  // BININT
                try pushInteger(Int64(try takeInteger(Int32.self)))
            case 0x49:  // INT
                try pushIntegerLine(isLong: false)
            case 0x4c:  // LONG
                try pushIntegerLine(isLong: true)
            case 0x8a:  // LONG1
                try pushBinaryInteger(length: Int(try takeInteger(UInt8.self)))
            case 0x8b:  // LONG4
                try pushBinaryInteger(length: try takeLength4Signed())
            case 0x47:  // BINFLOAT
                try pushFloat(bits: UInt64(bigEndian: UInt64(littleEndian: try takeInteger(UInt64.self))))
            case 0x46:  // FLOAT
                try pushFloatLine()

            // Text and bytes
            case 0x58:  // BINUNICODE
                try pushText(length: Int(try takeInteger(UInt32.self)))
                if isNext(0x71) { try store(at: UInt64(try takeInteger(UInt8.self))) }
            case 0x8d:  // BINUNICODE8
                try pushText(length: try takeLength8())
            case 0x56:  // UNICODE
                try pushUnicodeLine()
            case 0x53:  // STRING
                try pushStringLine()
            case 0x55:  // SHORT_BINSTRING
                try pushBytes(.byteString, length: Int(try takeInteger(UInt8.self)))
            case 0x54:  // BINSTRING
                try pushBytes(.byteString, length: try takeLength4Signed())
            case 0x43:  // SHORT_BINBYTES
                try pushBytes(.bytes, length: Int(try takeInteger(UInt8.self)))
            case 0x42:  // BINBYTES
                try pushBytes(.bytes, length: Int(try takeInteger(UInt32.self)))
            case 0x8e:  // BINBYTES8
                try pushBytes(.bytes, length: try takeLength8())
            case 0x96:  // BYTEARRAY8
                try pushBytes(.bytearray, length: try takeLength8())
            case 0x97:  // NEXT_BUFFER
                try pushNextBuffer()
            case 0x98:  // READONLY_BUFFER
                try makeBufferReadOnly()

            // Containers
            case 0x28:  // MARK
                pushMark()
            case 0x5d:  // EMPTY_LIST
                try push(TapeNode(kind: .list, flags: .unhashable, depth: 1))
            case 0x7d:  // EMPTY_DICT
                try push(TapeNode(kind: .dict, flags: .unhashable, depth: 1))
            case 0x8f:  // EMPTY_SET
                try push(TapeNode(kind: .set, flags: .unhashable, depth: 1))
            case 0x29:  // EMPTY_TUPLE
                try push(TapeNode(kind: .tuple, depth: 1))
            case 0x85:  // TUPLE1
                try makeTuple(count: 1)
            case 0x86:  // TUPLE2
                try makeTuple(count: 2)
            case 0x87:  // TUPLE3
                try makeTuple(count: 3)
            case 0x74:  // TUPLE
                try makeTuple(from: try popMark())
            case 0x6c:  // LIST
                try makeList(from: try popMark())
            case 0x64:  // DICT
                try makeDict(from: try popMark())
            case 0x91:  // FROZENSET
                try makeFrozenSet(from: try popMark())
            case 0x61:  // APPEND
                try appendOne()
            case 0x65:  // APPENDS
                try appendMany()
            case 0x73:  // SETITEM
                try setOne()
            case 0x75:  // SETITEMS
                try setMany()
            case 0x90:  // ADDITEMS
                try addMany()

            // Stack and memo
            case 0x30:  // POP
                try popItemOrMark()
            case 0x31:  // POP_MARK
                stack.truncate(to: try popMark())
            case 0x32:  // DUP
                let node = try top()
                noteShared(node)
                stack.append(node)
            case 0x70:  // PUT
                try store(at: try takeMemoIndex())
            case 0x71:  // BINPUT
                try store(at: UInt64(try takeInteger(UInt8.self)))
            case 0x72:  // LONG_BINPUT
                try store(at: UInt64(try takeInteger(UInt32.self)))
            case 0x67:  // GET
                try fetch(at: try takeMemoIndex())
            case 0x6a:  // LONG_BINGET
                try fetch(at: UInt64(try takeInteger(UInt32.self)))

            // Names and objects, all inert
            case 0x63:  // GLOBAL
                try pushGlobalLines()
            case 0x93:  // STACK_GLOBAL
                try makeStackGlobal()
            case 0x82:  // EXT1
                try pushExtension(Int64(try takeInteger(UInt8.self)))
            case 0x83:  // EXT2
                try pushExtension(Int64(try takeInteger(UInt16.self)))
            case 0x84:  // EXT4
                try pushExtension(Int64(try takeInteger(Int32.self)))
            case 0x52:  // REDUCE
                try makeReduced()
            case 0x81:  // NEWOBJ
                try makeNewObject(withKeywords: false)
            case 0x92:  // NEWOBJ_EX
                try makeNewObject(withKeywords: true)
            case 0x69:  // INST
                try makeInstance()
            case 0x6f:  // OBJ
                try makeOldObject()
            case 0x62:  // BUILD
                try build()
            case 0x50:  // PERSID
                try pushPersistentIDLine()
            case 0x51:  // BINPERSID
                let id = try pop()
                try push(TapeNode(kind: .persistentID, depth: deeper(than: id), first: id))

            // The stream
            case 0x80:  // PROTO
                let version = try takeInteger(UInt8.self)
                if version > 5 { throw PickleFault(.unsupportedProtocol, UInt64(version)) }
                nameOrigin = version < 3 ? .upToProtocol2 : .fromProtocol3
            case 0x95:  // FRAME
                try enterFrame()
            case 0x2e:  // STOP
                return try pop()
            default: throw PickleFault(.unknownOpcode)
            }
        }
    }

    /// Whether this opcode comes next in the frame; if so it is begun.
    @inline(__always) private mutating func isNext(_ opcode: UInt8) -> Bool {
        guard at < end, tape.input.loadUnaligned(fromByteOffset: at, as: UInt8.self) == opcode else { return false }
        opcodeOffset = at
        at &+= 1
        return true
    }

    private mutating func popItemOrMark() throws(PickleFault) {
        if !marks.isEmpty, stack.count == fence {
            _ = try popMark()
        } else {
            _ = try pop()
        }
    }

    /// The depth of a node around another one; stops counting at 65535, where `PickleTape.depth(of:)` takes over.
    @inline(__always) func deeper(than child: UInt32) -> UInt16 {
        let depth = tape.nodes[child].depth
        return depth == .max ? .max : depth + 1
    }
}
