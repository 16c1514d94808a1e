extension PickleMachine {
    /// Executes the loaded pickle up to STOP and returns the node of its value. `at` is then after STOP.
    ///
    /// One flat switch over the opcodes, grouped as in `pickletools.opcodes`. It compiles to one jump table.
    mutating func run() throws(PickleFault) -> UInt32 {
        while true {
            if at == end {
                isInFrame = false
                end = unsafe tape.input.count
            }
            opcodeOffset = at
            if at >= end { throw PickleFault(.truncated) }
            let byte = unsafe tape.input.loadUnaligned(fromByteOffset: at, as: UInt8.self)
            at &+= 1
            switch byte {
            case PickleOpcode.shortBinUnicode:
                // Texts often follow each other, each with its MEMOIZE. A look at the next byte here saves half the
                // jumps of a message, which predict badly.
                repeat {
                    try pushText(length: Int(try takeInteger(UInt8.self)))
                    if isNext(.memoize) { try memoize(UInt32(truncatingIfNeeded: tape.nodes.count &- 1)) }
                } while isNext(.shortBinUnicode)
            case PickleOpcode.memoize:
                try memoize(try top())
            case PickleOpcode.binGet:
                try fetch(at: UInt64(try takeInteger(UInt8.self)))
            case PickleOpcode.none:
                stack.append(PickleTape.none)
            case PickleOpcode.newTrue:
                stack.append(PickleTape.true)
            case PickleOpcode.newFalse:
                stack.append(PickleTape.false)

            // Numbers
            case PickleOpcode.binInt1:
                try pushInteger(Int64(try takeInteger(UInt8.self)))
            case PickleOpcode.binInt2:
                try pushInteger(Int64(try takeInteger(UInt16.self)))
            case PickleOpcode.binInt:
                try pushInteger(Int64(try takeInteger(Int32.self)))
            case PickleOpcode.int:
                try pushIntegerLine(isLong: false)
            case PickleOpcode.long:
                try pushIntegerLine(isLong: true)
            case PickleOpcode.long1:
                try pushBinaryInteger(length: Int(try takeInteger(UInt8.self)))
            case PickleOpcode.long4:
                try pushBinaryInteger(length: try takeLength4Signed())
            case PickleOpcode.binFloat:
                try pushFloat(bits: UInt64(bigEndian: UInt64(littleEndian: try takeInteger(UInt64.self))))
            case PickleOpcode.float:
                try pushFloatLine()

            // Text and bytes
            case PickleOpcode.binUnicode:
                try pushText(length: Int(try takeInteger(UInt32.self)))
                if isNext(.binPut) { try store(at: UInt64(try takeInteger(UInt8.self))) }
            case PickleOpcode.binUnicode8:
                try pushText(length: try takeLength8())
            case PickleOpcode.unicode:
                try pushUnicodeLine()
            case PickleOpcode.string:
                try pushStringLine()
            case PickleOpcode.shortBinString:
                try pushBytes(.byteString, length: Int(try takeInteger(UInt8.self)))
            case PickleOpcode.binString:
                try pushBytes(.byteString, length: try takeLength4Signed())
            case PickleOpcode.shortBinBytes:
                try pushBytes(.bytes, length: Int(try takeInteger(UInt8.self)))
            case PickleOpcode.binBytes:
                try pushBytes(.bytes, length: Int(try takeInteger(UInt32.self)))
            case PickleOpcode.binBytes8:
                try pushBytes(.bytes, length: try takeLength8())
            case PickleOpcode.byteArray8:
                try pushBytes(.bytearray, length: try takeLength8())
            case PickleOpcode.nextBuffer:
                try pushNextBuffer()
            case PickleOpcode.readOnlyBuffer:
                try makeBufferReadOnly()

            // Containers
            case PickleOpcode.mark:
                pushMark()
            case PickleOpcode.emptyList:
                try push(TapeNode(kind: .list, flags: .unhashable, depth: 1))
            case PickleOpcode.emptyDict:
                try push(TapeNode(kind: .dict, flags: .unhashable, depth: 1))
            case PickleOpcode.emptySet:
                try push(TapeNode(kind: .set, flags: .unhashable, depth: 1))
            case PickleOpcode.emptyTuple:
                try push(TapeNode(kind: .tuple, depth: 1))
            case PickleOpcode.tuple1:
                try makeTuple(count: 1)
            case PickleOpcode.tuple2:
                try makeTuple(count: 2)
            case PickleOpcode.tuple3:
                try makeTuple(count: 3)
            case PickleOpcode.tuple:
                try gather(.tuple, from: try popMark())
            case PickleOpcode.list:
                try gather(.list, from: try popMark())
            case PickleOpcode.dict:
                try makeDict(from: try popMark())
            case PickleOpcode.frozenSet:
                try makeSet(.frozenset, from: try popMark())
            case PickleOpcode.append:
                try appendOne()
            case PickleOpcode.appends:
                try appendMany()
            case PickleOpcode.setItem:
                try setOne()
            case PickleOpcode.setItems:
                try setMany()
            case PickleOpcode.addItems:
                try addMany()

            // Stack and memo
            case PickleOpcode.pop:
                try popItemOrMark()
            case PickleOpcode.popMark:
                stack.truncate(to: try popMark())
            case PickleOpcode.dup:
                let node = try top()
                noteShared(node)
                stack.append(node)
            case PickleOpcode.put:
                try store(at: try takeMemoIndex())
            case PickleOpcode.binPut:
                try store(at: UInt64(try takeInteger(UInt8.self)))
            case PickleOpcode.longBinPut:
                try store(at: UInt64(try takeInteger(UInt32.self)))
            case PickleOpcode.get:
                try fetch(at: try takeMemoIndex())
            case PickleOpcode.longBinGet:
                try fetch(at: UInt64(try takeInteger(UInt32.self)))

            // Names and objects, all inert
            case PickleOpcode.global:
                try pushGlobalLines()
            case PickleOpcode.stackGlobal:
                try makeStackGlobal()
            case PickleOpcode.ext1:
                try pushExtension(Int64(try takeInteger(UInt8.self)))
            case PickleOpcode.ext2:
                try pushExtension(Int64(try takeInteger(UInt16.self)))
            case PickleOpcode.ext4:
                try pushExtension(Int64(try takeInteger(Int32.self)))
            case PickleOpcode.reduce:
                try makeReduced()
            case PickleOpcode.newObj:
                try makeNewObject(withKeywords: false)
            case PickleOpcode.newObjEx:
                try makeNewObject(withKeywords: true)
            case PickleOpcode.inst:
                try makeInstance()
            case PickleOpcode.obj:
                try makeOldObject()
            case PickleOpcode.build:
                try build()
            case PickleOpcode.persID:
                try pushPersistentIDLine()
            case PickleOpcode.binPersID:
                let id = try pop()
                try push(TapeNode(kind: .persistentID, depth: deeper(than: id), first: id))

            // The stream
            case PickleOpcode.proto:
                let version = try takeInteger(UInt8.self)
                if version > 5 { throw PickleFault(.unsupportedProtocol, UInt64(version)) }
                nameOrigin = version < 3 ? .upToProtocol2 : .fromProtocol3
            case PickleOpcode.frame:
                try enterFrame()
            case PickleOpcode.stop:
                return try pop()
            default: throw PickleFault(.unknownOpcode)
            }
        }
    }

    /// If this opcode comes next in the frame, begins it and returns true.
    @inline(__always) private mutating func isNext(_ opcode: PickleOpcode) -> Bool {
        guard at < end, unsafe opcode ~= tape.input.loadUnaligned(fromByteOffset: at, as: UInt8.self) else {
            return false
        }
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

    /// The depth of a node that contains another one; stops at 65535, from where on `PickleTape.treeExtent(of:)` counts.
    @inline(__always) func deeper(than child: UInt32) -> UInt16 {
        let depth = tape.nodes[child].depth
        return depth == .max ? .max : depth + 1
    }
}
