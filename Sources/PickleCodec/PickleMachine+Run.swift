extension PickleMachine {
    /// Executes the loaded pickle up to STOP and returns the node of its value. `at` is then behind STOP.
    ///
    /// One flat switch over the opcodes of `pickletools.opcodes`, grouped like there.
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
            guard let opcode = PickleOpcode(rawValue: byte) else { throw PickleFault(.unknownOpcode) }
            switch opcode {
            // The most frequent ones of protocol 4 come first for the reader's sake; the compiler makes a table.
            case .shortBinUnicode: try pushText(length: Int(try takeInteger(UInt8.self)))
            case .memoize: try store(at: UInt64(memo.count))
            case .binGet: try fetch(at: UInt64(try takeInteger(UInt8.self)))
            case .none: stack.append(PickleTape.none)
            case .newTrue: stack.append(PickleTape.true)
            case .newFalse: stack.append(PickleTape.false)

            // Numbers
            case .binInt1: try pushInteger(Int64(try takeInteger(UInt8.self)))
            case .binInt2: try pushInteger(Int64(try takeInteger(UInt16.self)))
            case .binInt: try pushInteger(Int64(try takeInteger(Int32.self)))
            case .int: try pushIntegerLine(isLong: false)
            case .long: try pushIntegerLine(isLong: true)
            case .long1: try pushBinaryInteger(length: Int(try takeInteger(UInt8.self)))
            case .long4: try pushBinaryInteger(length: try takeLength4Signed())
            case .binFloat: try pushFloat(bits: UInt64(bigEndian: UInt64(littleEndian: try takeInteger(UInt64.self))))
            case .float: try pushFloatLine()

            // Text and bytes
            case .binUnicode: try pushText(length: Int(try takeInteger(UInt32.self)))
            case .binUnicode8: try pushText(length: try takeLength8())
            case .unicode: try pushUnicodeLine()
            case .string: try pushStringLine()
            case .shortBinString: try pushBytes(.byteString, length: Int(try takeInteger(UInt8.self)))
            case .binString: try pushBytes(.byteString, length: try takeLength4Signed())
            case .shortBinBytes: try pushBytes(.bytes, length: Int(try takeInteger(UInt8.self)))
            case .binBytes: try pushBytes(.bytes, length: Int(try takeInteger(UInt32.self)))
            case .binBytes8: try pushBytes(.bytes, length: try takeLength8())
            case .byteArray8: try pushBytes(.bytearray, length: try takeLength8())
            case .nextBuffer: try pushNextBuffer()
            case .readOnlyBuffer: try makeBufferReadOnly()

            // Containers
            case .mark: pushMark()
            case .emptyList: try push(TapeNode(kind: .list, flags: .unhashable, depth: 1))
            case .emptyDict: try push(TapeNode(kind: .dict, flags: .unhashable, depth: 1))
            case .emptySet: try push(TapeNode(kind: .set, flags: .unhashable, depth: 1))
            case .emptyTuple: try push(TapeNode(kind: .tuple, depth: 1))
            case .tuple1: try makeTuple(count: 1)
            case .tuple2: try makeTuple(count: 2)
            case .tuple3: try makeTuple(count: 3)
            case .tuple: try makeTuple(from: try popMark())
            case .list: try makeList(from: try popMark())
            case .dict: try makeDict(from: try popMark())
            case .frozenSet: try makeFrozenSet(from: try popMark())
            case .append: try appendOne()
            case .appends: try appendMany()
            case .setItem: try setOne()
            case .setItems: try setMany()
            case .addItems: try addMany()

            // Stack and memo
            case .pop: try popItemOrMark()
            case .popMark: stack.truncate(to: try popMark())
            case .dup:
                let node = try top()
                noteShared(node)
                stack.append(node)
            case .put: try store(at: try takeMemoIndex())
            case .binPut: try store(at: UInt64(try takeInteger(UInt8.self)))
            case .longBinPut: try store(at: UInt64(try takeInteger(UInt32.self)))
            case .get: try fetch(at: try takeMemoIndex())
            case .longBinGet: try fetch(at: UInt64(try takeInteger(UInt32.self)))

            // Names and objects, all inert
            case .global: try pushGlobalLines()
            case .stackGlobal: try makeStackGlobal()
            case .ext1: try pushExtension(Int64(try takeInteger(UInt8.self)))
            case .ext2: try pushExtension(Int64(try takeInteger(UInt16.self)))
            case .ext4: try pushExtension(Int64(try takeInteger(Int32.self)))
            case .reduce: try makeReduced()
            case .newObj: try makeNewObject(withKeywords: false)
            case .newObjEx: try makeNewObject(withKeywords: true)
            case .inst: try makeInstance()
            case .obj: try makeOldObject()
            case .build: try build()
            case .persID: try pushPersistentIDLine()
            case .binPersID:
                let id = try pop()
                try push(TapeNode(kind: .persistentID, depth: deeper(than: id), first: id))

            // The stream
            case .proto:
                let version = try takeInteger(UInt8.self)
                if version > 5 { throw PickleFault(.unsupportedProtocol, UInt64(version)) }
            case .frame: try enterFrame()
            case .stop: return try pop()
            }
        }
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
