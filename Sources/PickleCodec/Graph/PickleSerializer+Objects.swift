import Bytes

extension PickleSerializer {
    // MARK: bytes and bytearray

    mutating func saveBytes(_ index: UInt32, _ bytes: UnsafeRawBufferPointer) {
        if version >= 3 {
            unsafe emitter.emitBytes(bytes)
            return put(index)
        }
        if unsafe bytes.isEmpty {
            saveBuiltin("bytes")
            emitter.emitEmpty(.emptyTuple, .tuple)
            emitter.emit(.reduce)
        } else {
            unsafe saveEncodedText(bytes)
        }
        put(index)
    }

    mutating func saveByteArray(_ index: UInt32, _ bytes: UnsafeRawBufferPointer) {
        if version >= 5 {
            unsafe emitter.emit(.byteArray8, lengthBytes: 8, payload: bytes)
            return put(index)
        }
        // bytearray(bytes), and bytes spelled as the protocol can.
        saveBuiltin("bytearray")
        if unsafe bytes.isEmpty {
            emitter.emitEmpty(.emptyTuple, .tuple)
        } else {
            if version < 2 { emitter.emit(.mark) }
            emitter.valueBegins()
            emitter.valueBegins()
            if version >= 3 { unsafe emitter.emitBytes(bytes) } else { unsafe saveEncodedText(bytes) }
            putUnreachable()
            emitter.emit(version < 2 ? .tuple : .tuple1)
            putUnreachable()
        }
        emitter.emit(.reduce)
        put(index)
    }

    /// `_codecs.encode(text, 'latin1')`.
    private mutating func saveEncodedText(_ bytes: UnsafeRawBufferPointer) {
        saveName("_codecs\nencode\n")
        if version < 2 { emitter.emit(.mark) }
        unsafe saveLatin1(bytes)
        saveText("latin1", key: "latin1\n")
        emitter.emit(version < 2 ? .tuple : .tuple2)
        putUnreachable()
        emitter.emit(.reduce)
    }

    mutating func saveLatin1(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count == 1, let memo = unsafe characters[bytes[0]] { return emitter.emitGet(memo) }
        unsafe emitter.emitText(latin1: bytes)
        putUnreachable()
        if bytes.count == 1 { unsafe characters[bytes[0]] = memoCount - 1 }
    }

    /// A str. CPython has only one object for each str of one latin-1 character.
    mutating func saveText(_ index: UInt32, _ text: UnsafeRawBufferPointer) {
        guard text.count == 1 || text.count == 2, unsafe WTF8.decode(text, at: 0).length == text.count,
            let character = unsafe UInt8(exactly: WTF8.decode(text, at: 0).scalar)
        else {
            unsafe emitter.emitText(text)
            return put(index)
        }
        if let memo = characters[character] { return emitter.emitGet(memo) }
        unsafe emitter.emitText(text)
        put(index)
        characters[character] = memoCount - 1
    }

    // MARK: Names and references

    mutating func saveGlobal(
        _ index: UInt32, _ node: TapeNode, _ tape: borrowing PickleTape
    ) throws(PickleWriteError) {
        guard version >= 4 else {
            emitter.emit(.global)
            try appendNames(node, tape)
            return put(index)
        }
        pushPut(index)
        push(.stackGlobal)
        guard let other = tape.translatedName(of: node, to: version) else {
            pushSave(node.last)
            return pushSave(node.first)
        }
        saveText(other.module, key: other.module)
        if other.name == tape.name(of: node).name { pushSave(node.last) } else { saveText(other.name, key: other.name) }
    }

    /// Module and name as lines.
    private mutating func appendNames(_ node: TapeNode, _ tape: borrowing PickleTape) throws(PickleWriteError) {
        if let other = tape.translatedName(of: node, to: version) {
            appendLines(other.module + "\n")
            if other.name != tape.name(of: node).name { return appendLines(other.name + "\n") }
        } else {
            try unsafe appendNameLine(tape.content(of: tape.nodes[node.first]))
        }
        try unsafe appendNameLine(tape.content(of: tape.nodes[node.last]))
    }

    private mutating func appendNameLine(_ name: UnsafeRawBufferPointer) throws(PickleWriteError) {
        guard unsafe !name.isEmpty, unsafe !name.contains(0x0a), unsafe WTF8.isValid(name, surrogates: false) else {
            throw PickleWriteError.unwritableName
        }
        unsafe emitter.append(name)
        emitter.appendByte(0x0a)
    }

    mutating func savePersistentID(_ node: TapeNode, _ tape: borrowing PickleTape) throws(PickleWriteError) {
        if version > 0 {
            push(.binPersID)
            return pushSave(node.first)
        }
        let id = tape.nodes[node.first]
        guard id.kind == .str, unsafe !tape.content(of: id).contains(0x0a), unsafe WTF8.isASCII(tape.content(of: id))
        else {
            throw PickleWriteError.unwritablePersistentID
        }
        emitter.emit(.persID)
        unsafe emitter.append(tape.content(of: id))
        emitter.appendByte(0x0a)
    }

    // MARK: Objects

    /// Class and arguments first; state, items and pairs follow in `closeObject`, when the object can be in the memo.
    mutating func saveObject(
        _ index: UInt32, _ node: TapeNode, _ tape: borrowing PickleTape
    ) throws(PickleWriteError) {
        let record = Int(node.first)
        let callable = tape.links[record + ObjectField.callable]
        let arguments = tape.links[record + ObjectField.arguments]
        let keywords = tape.links[record + ObjectField.keywords]
        let constructor = PickleConstructor(rawValue: tape.links[record]) ?? .reduce
        switch constructor {
        case .reduce:
            // The callable occurs again within its own state (a partial with an argument that contains its result). A
            // call now would miss that state, so the callable is made once more, as CPython does.
            if unfinished.contains(callable) { forget(callable) }
            work.append(Task(action: .closeObject, opcode: .reduce, node: index))
            pushSave(arguments)
            pushSave(callable)
        case .newObj where version >= 2:
            work.append(Task(action: .closeObject, opcode: .newObj, node: index))
            pushSave(arguments)
            pushSave(callable)
        case .newObjEx where version >= 4:
            work.append(Task(action: .closeObject, opcode: .newObjEx, node: index))
            if keywords == 0 { push(.emptyDict) } else { pushSave(keywords) }
            pushSave(arguments)
            pushSave(callable)
        case .newObj:
            saveConstructorCall(index, callable, arguments, tape)
        case .newObjEx:
            saveConstructorCallEx(index, callable, arguments, keywords, tape)
        case .inst, .obj:
            emitter.emit(.mark)
            if version == 0, tape.nodes[callable].kind == .global {
                work.append(Task(action: .closeObject, opcode: .inst, node: index))
                pushItems(tape.nodes[arguments].chain, tape)
            } else {
                work.append(Task(action: .closeObject, opcode: .obj, node: index))
                pushItems(tape.nodes[arguments].chain, tape)
                pushSave(callable)
            }
        }
    }

    /// `copy_reg.__newobj__(class, *arguments)`, which replaces NEWOBJ at protocols without it.
    private mutating func saveConstructorCall(
        _ index: UInt32, _ callable: UInt32, _ arguments: UInt32, _ tape: borrowing PickleTape
    ) {
        emitter.emit(.global)
        emitter.append("copy_reg\n__newobj__\n")
        emitter.emit(.mark)
        work.append(Task(action: .closeObject, opcode: .reduce, node: index))
        push(.tuple)
        pushItems(tape.nodes[arguments].chain, tape)
        pushSave(callable)
    }

    /// `functools.partial(class.__new__, class, *arguments, **keywords)()`, as CPython writes NEWOBJ_EX below protocol 4.
    private mutating func saveConstructorCallEx(
        _ index: UInt32, _ callable: UInt32, _ arguments: UInt32, _ keywords: UInt32, _ tape: borrowing PickleTape
    ) {
        // partial(getattr(class, '__new__')) and its state (function, arguments, keywords, None).
        emitter.emit(.global)
        emitter.append("functools\npartial\n")
        work.append(Task(action: .closeObject, opcode: .reduce, node: index))
        push(.tuple)
        push(.mark)
        push(.build)
        push(.tuple)
        push(.none)
        if keywords == 0 {
            push(.dict)
            push(.mark)
        } else {
            pushSave(keywords)
        }
        push(.tuple)
        pushItems(tape.nodes[arguments].chain, tape)
        pushSave(callable)
        push(.mark)
        work.append(Task(action: .newMethod, node: callable))
        push(.mark)
        push(.reduce)
        push(.tuple)
        work.append(Task(action: .newMethod, node: callable))
        push(.mark)
    }

    /// `getattr(class, '__new__')`.
    mutating func saveNewMethod(_ callable: UInt32) {
        emitter.emit(.global)
        emitter.append(version == 3 ? "builtins\ngetattr\n" : "__builtin__\ngetattr\n")
        emitter.emit(.mark)
        push(.reduce)
        push(.tuple)
        work.append(Task(action: .newText))
        pushSave(callable)
    }

    /// Makes the object, unless a container in its arguments led back to it and made it, then fills it.
    mutating func closeObject(_ task: Task, _ tape: borrowing PickleTape) throws(PickleWriteError) {
        let node = tape.nodes[task.node]
        emitter.emit(task.opcode)
        if task.opcode == .inst {
            try appendNames(tape.nodes[tape.links[Int(node.first) + ObjectField.callable]], tape)
        }
        if isInMemo(task.node) {
            emitter.emit(.pop)
            return get(task.node)
        }
        put(task.node)
        guard node.kind == .object else { return }
        let states = tape.chain(ObjectField.states, ofRecord: node.first)
        if states.count > 0, unfinished.insert(task.node).inserted {
            work.append(Task(action: .finishObject, node: task.node))
        }
        let start = work.count
        tape.forEach(in: states) { state in
            pushSave(state)
            push(.build)
        }
        reverseWork(from: start)
        let adds = tape.chain(ObjectField.adds, ofRecord: node.first)
        guard adds.count == 0 || version >= 4 else { throw PickleWriteError.needsProtocol4 }
        pushFill(.adds, adds)
        pushFill(.pairs, tape.chain(ObjectField.pairs, ofRecord: node.first))
        pushFill(.items, tape.chain(ObjectField.items, ofRecord: node.first))
    }
}
