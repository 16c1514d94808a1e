import Bytes

extension PickleMachine {
    // MARK: Names

    mutating func pushGlobalLines() throws(PickleFault) {
        let module = try addName(try takeLine())
        let name = try addName(try takeLine())
        try pushGlobal(module: module, name: name)
    }

    /// A module or name of GLOBAL and INST: strict UTF-8 and not empty.
    private mutating func addName(_ range: Range<Int>) throws(PickleFault) -> UInt32 {
        guard !range.isEmpty else { throw PickleFault(.emptyName) }
        guard unsafe WTF8.isValid(UnsafeRawBufferPointer(rebasing: tape.input[range]), surrogates: false) else {
            throw PickleFault(.invalidText)
        }
        return try add(TapeNode(kind: .str, count: UInt32(range.count), first: UInt32(range.lowerBound)))
    }

    private mutating func pushGlobal(module: UInt32, name: UInt32) throws(PickleFault) {
        try push(tape.global(module: module, name: name, nameOrigin))
    }

    mutating func makeStackGlobal() throws(PickleFault) {
        try need(2)
        let name = stack[stack.count - 1]
        let module = stack[stack.count - 2]
        guard tape.nodes[name].kind == .str, tape.nodes[module].kind == .str else {
            throw PickleFault(.namesNotText)
        }
        stack.truncate(to: stack.count - 2)
        try pushGlobal(module: module, name: name)
    }

    mutating func pushExtension(_ code: Int64) throws(PickleFault) {
        guard code > 0 else { throw PickleFault(.extensionNotPositive) }
        guard let entry = extensions.names[Int32(truncatingIfNeeded: code)] else {
            throw PickleFault(.extensionUnknown, UInt64(code))
        }
        let module = try addText(entry.module)
        let name = try addText(entry.name)
        try pushGlobal(module: module, name: name)
    }

    private mutating func addText(_ text: String) throws(PickleFault) -> UInt32 {
        let start = tape.scratch.count
        for byte in text.utf8 { tape.scratch.append(byte) }
        return try add(try scratchNode(.str, from: start))
    }

    // MARK: Objects

    /// REDUCE: a built-in value where the call only spells one, otherwise an inert object.
    mutating func makeReduced() throws(PickleFault) {
        try need(2)
        let arguments = stack[stack.count - 1]
        let callable = stack[stack.count - 2]
        guard isCallable(callable) else { throw PickleFault(.notCallable) }
        guard tape.nodes[arguments].kind == .tuple else { throw PickleFault(.argumentsNotATuple) }
        stack.truncate(to: stack.count - 2)
        if tape.nodes[callable].kind == .global, tape.nodes[callable].count != 0,
            try pushDataReduction(WellKnownName(tape.nodes[callable]), tape.nodes[arguments])
        {
            return
        }
        try pushObject(.reduce, callable, arguments)
        if WellKnownName(tape.nodes[callable]) == .numpyScalar {
            let record = Int(tape.nodes[try top()].first)
            tape.links[record + ObjectField.content] = try numPyContent(of: arguments)
        }
    }

    /// NEWOBJ and NEWOBJ_EX.
    mutating func makeNewObject(withKeywords: Bool) throws(PickleFault) {
        let count = withKeywords ? 3 : 2
        try need(count)
        let callable = stack[stack.count - count]
        let arguments = stack[stack.count - count + 1]
        let keywords = withKeywords ? stack[stack.count - 1] : 0
        if withKeywords, tape.nodes[keywords].kind != .dict { throw PickleFault(.keywordsNotADict) }
        guard tape.nodes[arguments].kind == .tuple else { throw PickleFault(.argumentsNotATuple) }
        guard isCallable(callable) else { throw PickleFault(.notCallable) }
        stack.truncate(to: stack.count - count)
        try pushObject(withKeywords ? .newObjEx : .newObj, callable, arguments, keywords: keywords)
    }

    /// INST: a class by name, the arguments above the mark.
    mutating func makeInstance() throws(PickleFault) {
        let module = try addName(try takeLine())
        let name = try addName(try takeLine())
        try gather(.tuple, from: try popMark())
        let arguments = stack.removeLast()
        try pushGlobal(module: module, name: name)
        try pushObject(.inst, stack.removeLast(), arguments)
    }

    /// OBJ: the class and then the arguments above the mark.
    mutating func makeOldObject() throws(PickleFault) {
        let height = try popMark()
        guard height < stack.count else { throw PickleFault(.noClass) }
        let callable = stack[height]
        guard isCallable(callable) else { throw PickleFault(.notCallable) }
        try gather(.tuple, from: height + 1)
        let arguments = stack.removeLast()
        stack.truncate(to: height)
        try pushObject(.obj, callable, arguments)
    }

    private func isCallable(_ index: UInt32) -> Bool {
        let kind = tape.nodes[index].kind
        return kind == .global || kind == .object
    }

    private mutating func pushObject(
        _ constructor: PickleConstructor, _ callable: UInt32, _ arguments: UInt32, keywords: UInt32 = 0
    ) throws(PickleFault) {
        guard tape.links.count < Int(UInt32.max) - 64 else { throw PickleFault(.tooManyNodes, UInt64(UInt32.max)) }
        let depth = max(deeper(than: callable), deeper(than: arguments), deeper(than: keywords))
        try push(tape.object(constructor, callable, arguments, keywords: keywords, depth: depth))
    }

    // MARK: Calls that only spell data (protocols below 3, 4 and 5)

    /// Pushes the value of a call with which older protocols spell a built-in value; false for any other call.
    private mutating func pushDataReduction(
        _ name: WellKnownName, _ arguments: TapeNode
    ) throws(PickleFault) -> Bool {
        guard arguments.count <= 2 else { return false }
        let first = arguments.count > 0 ? tape.links[arguments.first + 2] : 0
        let second = arguments.count > 1 ? tape.nodes[tape.links[arguments.first + 3]] : nil
        switch name {
        case .set, .frozenset:
            guard arguments.count < 2 else { return false }
            let height = stack.count
            if arguments.count == 1 {
                let node = tape.nodes[first]
                switch node.kind {
                case .list, .tuple, .set, .frozenset: break
                default: return false
                }
                try charge(Int(node.count))
                pushItems(of: node.chain)
            }
            try makeSet(name == .set ? .set : .frozenset, from: height)
            return true
        case .bytes:
            guard arguments.count == 0 else { return false }
            try push(TapeNode(kind: .bytes))
            return true
        case .bytearray:
            return try pushByteArray(arguments.count, tape.nodes[first], second)
        case .encode:
            guard let second, tape.nodes[first].kind == .str, isLatin1(second) else { return false }
            try pushLatin1(tape.nodes[first], as: .bytes)
            return true
        default:
            return false
        }
    }

    /// Counts the items or bytes that a reduction copies. A pickle from a pickler copies each item once; a hostile one fetches the same
    /// list or text again and again, which would make time quadratic.
    mutating func charge(_ count: Int) throws(PickleFault) {
        copied += count
        // A latin-1 text of protocol 0 has two bytes in UTF-8 for one in the pickle.
        let limit = unsafe 2 * tape.input.count + 1024
        if copied > limit { throw PickleFault(.tooManyNodes, UInt64(limit)) }
    }

    private mutating func pushItems(of chain: ItemChain) {
        var items = TapeCursor(chain)
        while let item = items.next(in: tape) { stack.append(item) }
    }

    private mutating func pushByteArray(
        _ count: UInt32, _ first: TapeNode, _ second: TapeNode?
    ) throws(PickleFault) -> Bool {
        switch count {
        case 0:
            try push(TapeNode(kind: .bytearray, flags: .unhashable))
        case 1:
            guard first.kind == .bytes else { return false }
            var node = first
            node.kind = .bytearray
            node.flags.insert(.unhashable)
            try push(node)
        default:
            guard let second, first.kind == .str, isLatin1(second) else { return false }
            try pushLatin1(first, as: .bytearray)
        }
        return true
    }

    private func isLatin1(_ node: TapeNode) -> Bool {
        guard node.kind == .str || node.kind == .byteString else { return false }
        let name = unsafe tape.content(of: node)
        return unsafe equalBytes(name, "latin1") || equalBytes(name, "latin-1") || equalBytes(name, "iso-8859-1")
    }

    /// The latin-1 bytes of a text; an ASCII text keeps its own bytes.
    private mutating func pushLatin1(_ text: TapeNode, as kind: PickleKind) throws(PickleFault) {
        var node = text
        node.kind = kind
        if kind == .bytearray { node.flags.insert(.unhashable) }
        if unsafe WTF8.isASCII(tape.content(of: text)) { return try push(node) }
        try charge(Int(text.count))
        let start = tape.scratch.count
        // Reserved first: the text itself may lie in scratch, which must not move while it is read.
        tape.scratch.reserve(Int(text.count))
        let bytes = unsafe tape.content(of: text)
        var at = 0
        while at < bytes.count {
            let (scalar, length) = unsafe WTF8.decode(bytes, at: at)
            guard scalar <= 0xff else { throw PickleFault(.notLatin1) }
            tape.scratch.append(UInt8(scalar))
            at += length
        }
        try push(try scratchNode(kind, from: start))
    }
}
