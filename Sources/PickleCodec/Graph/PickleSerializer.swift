import Bytes

/// Writes a tape as a pickle the way CPython's C pickler does, value by value and put by put.
///
/// Sharing and cycles are kept: a node seen before is fetched from the memo. A worklist replaces recursion, so depth
/// costs no stack. Two things differ from `pickle.dumps`: set elements are written in the tape's order, and equal strings
/// are one object if they are one node (only Python knows the original objects).
struct PickleSerializer: ~Copyable {
    var emitter = OpcodeEmitter()
    /// Memo index plus one for each node.
    private var memo = RawArray<UInt32>()
    private(set) var memoCount = 0
    /// Memo indices of the str of one latin-1 character.
    var characters: [UInt8: Int] = [:]
    /// Memo indices of texts and names that are not on the tape: parts of translated names (see `PythonNames`), and, with a line
    /// feed, what spells data at old protocols. When the pickle is read and written again, these are different strings too.
    private var spelled: [String: Int] = [:]
    /// Objects in the memo that have not been given their states yet.
    var unfinished: Set<UInt32> = []
    var work = RawArray<Task>()

    var version: Int { emitter.version }

    struct Task: BitwiseCopyable {
        enum Action: UInt8, BitwiseCopyable {
            case save, opcode, fill, closeTuple, closeFrozenSet, closeObject, finishObject, put, putUnreachable,
                newMethod, newText
        }
        var action: Action
        var opcode = PickleOpcode.pop
        var style = Filling.list
        var isOpen = false
        var node: UInt32 = 0
        var batch: UInt32 = 0
        var total: UInt32 = 0
        var cursor = TapeCursor(ItemChain())
    }

    /// CPython has a loop for each of these, and they batch differently.
    enum Filling: UInt8, BitwiseCopyable { case list, dict, set, items, pairs, adds }

    private static let batch: UInt32 = 1000

    /// Memory that is kept for the next pickle.
    var heldBytes: Int {
        emitter.output.capacity + memo.capacity * 4 + work.capacity * MemoryLayout<Task>.stride
    }

    /// Writes the value of a node as one pickle.
    mutating func serialize(
        _ root: UInt32, of tape: borrowing PickleTape, _ version: Int, _ isFramed: Bool
    ) throws(PickleWriteError) -> [UInt8] {
        guard 0...5 ~= version else { throw PickleWriteError.unsupportedProtocol(version) }
        emitter.configure(version: version, isFramed: isFramed)
        memo.truncate(to: 0)
        memo.append(repeating: 0, count: tape.nodes.count)
        memoCount = 0
        characters.removeAll(keepingCapacity: true)
        spelled.removeAll(keepingCapacity: true)
        unfinished.removeAll(keepingCapacity: true)
        work.truncate(to: 0)
        emitter.begin()
        pushSave(root)
        // Each step saves, fills or closes something once; more means a cycle that never ends.
        var stepsLeft = 64 + 16 * (tape.nodes.count + tape.links.count)
        while !work.isEmpty {
            if stepsLeft == 0 { throw PickleWriteError.unwritableCycle }
            stepsLeft -= 1
            let task = work.removeLast()
            switch task.action {
            case .save: try save(task.node, tape)
            case .opcode: emitter.emit(task.opcode)
            case .put: put(task.node)
            case .putUnreachable: putUnreachable()
            case .newMethod: saveNewMethod(task.node)
            case .newText: emitter.emitText("__new__")
            case .fill: try fill(task, tape)
            case .closeTuple: closeTuple(task)
            case .closeFrozenSet: closeFrozenSet(task)
            case .closeObject: try closeObject(task, tape)
            case .finishObject: unfinished.remove(task.node)
            }
        }
        emitter.end()
        return emitter.bytes
    }

    // MARK: Memo

    mutating func put(_ node: UInt32) {
        emitter.emitPut(memoCount)
        memoCount += 1
        memo[node] = UInt32(memoCount)
    }

    func isInMemo(_ node: UInt32) -> Bool { memo[node] != 0 }

    mutating func forget(_ node: UInt32) { memo[node] = 0 }

    mutating func get(_ node: UInt32) {
        emitter.emitGet(Int(memo[node]) - 1)
    }

    mutating func pushSave(_ node: UInt32) {
        work.append(Task(action: .save, node: node))
    }

    mutating func push(_ opcode: PickleOpcode) {
        work.append(Task(action: .opcode, opcode: opcode))
    }

    mutating func pushPut(_ node: UInt32) {
        work.append(Task(action: .put, node: node))
    }

    // MARK: One value

    private mutating func save(_ index: UInt32, _ tape: borrowing PickleTape) throws(PickleWriteError) {
        emitter.valueBegins()
        let node = tape.nodes[index]
        switch node.kind {
        case .none: return emitter.emit(.none)
        case .bool: return emitter.emitBool(node.first != 0)
        case .int:
            guard node.flags.contains(.big) else { return emitter.emitInteger(Int64(bitPattern: node.word)) }
            guard node.count <= UInt32(Int32.max) else { throw PickleWriteError.tooLong }
            return unsafe emitter.emitBigInteger(tape.content(of: node))
        case .float: return emitter.emitFloat(Double(bitPattern: node.word))
        default: break
        }
        if isInMemo(index) { return get(index) }
        switch node.kind {
        case .str: unsafe saveText(index, tape.content(of: node))
        case .byteString:
            guard node.count <= UInt32(Int32.max) else { throw PickleWriteError.tooLong }
            unsafe emitter.emitByteString(tape.content(of: node))
            put(index)
        case .bytes: unsafe saveBytes(index, tape.content(of: node))
        case .bytearray: unsafe saveByteArray(index, tape.content(of: node))
        case .tuple: try saveTuple(index, node, tape)
        case .list: saveList(index, node)
        case .dict: try saveDict(index, node, tape)
        case .set, .frozenset: try saveSet(index, node, tape)
        case .global: try saveGlobal(index, node, tape)
        case .object: try saveObject(index, node, tape)
        case .persistentID: try savePersistentID(node, tape)
        case .none, .bool, .int, .float: break
        }
    }

    private mutating func saveTuple(
        _ index: UInt32, _ node: TapeNode, _ tape: borrowing PickleTape
    ) throws(PickleWriteError) {
        if node.count == 0 { return emitter.emitEmpty(.emptyTuple, .tuple) }
        if node.count > 3 || version < 2 { emitter.emit(.mark) }
        work.append(Task(action: .closeTuple, node: index, total: node.count))
        try saveItems(node.chain, tape)
    }

    /// Saves the items of a chain in order: the leading simple ones at once, the rest as tasks.
    private mutating func saveItems(_ chain: ItemChain, _ tape: borrowing PickleTape) throws(PickleWriteError) {
        let start = work.count
        var cursor = TapeCursor(chain)
        while let item = cursor.next(in: tape) {
            if work.count == start, tape.nodes[item].isSimple { try save(item, tape) } else { pushSave(item) }
        }
        reverseWork(from: start)
    }

    /// Pushes the items of a chain so that they are saved in order.
    mutating func pushItems(_ chain: ItemChain, _ tape: borrowing PickleTape) {
        let start = work.count
        tape.forEach(in: chain) { pushSave($0) }
        reverseWork(from: start)
    }

    /// Reverses the tasks pushed since a height, so that the first is done first.
    mutating func reverseWork(from start: Int) {
        var low = start
        var high = work.count - 1
        while low < high {
            let task = work[low]
            work[low] = work[high]
            work[high] = task
            low += 1
            high -= 1
        }
    }

    private mutating func closeTuple(_ task: Task) {
        let isSmall = task.total <= 3 && version >= 2
        if isInMemo(task.node) {
            // A list or dict in it led back here and finished it: drop the copy and fetch the finished tuple.
            if isSmall || version == 0 {
                for _ in 0..<(isSmall ? task.total : task.total + 1) { emitter.emit(.pop) }
            } else {
                emitter.emit(.popMark)
            }
            return get(task.node)
        }
        if isSmall {
            emitter.emit(task.total == 1 ? .tuple1 : task.total == 2 ? .tuple2 : .tuple3)
        } else {
            emitter.emit(.tuple)
        }
        put(task.node)
    }

    private mutating func saveList(_ index: UInt32, _ node: TapeNode) {
        emitter.emitEmpty(.emptyList, .list)
        put(index)
        pushFill(.list, node.chain)
    }

    private mutating func saveDict(
        _ index: UInt32, _ node: TapeNode, _ tape: borrowing PickleTape
    ) throws(PickleWriteError) {
        try checkHashable(node, tape)
        emitter.emitEmpty(.emptyDict, .dict)
        put(index)
        pushFill(.dict, node.chain)
    }

    /// Throws if a key of a dict or an element of a set cannot be hashed.
    private func checkHashable(_ node: TapeNode, _ tape: borrowing PickleTape) throws(PickleWriteError) {
        var items = TapeCursor(node.chain)
        while let item = items.next(in: tape) {
            if tape.nodes[item].flags.contains(.unhashable) { throw PickleWriteError.unhashable }
            if node.kind == .dict { _ = items.next(in: tape) }
        }
    }

    private mutating func saveSet(
        _ index: UInt32, _ node: TapeNode, _ tape: borrowing PickleTape
    ) throws(PickleWriteError) {
        try checkHashable(node, tape)
        let chain = node.chain
        if version < 4 {
            // set([...]): the list and the tuple take memo indices but are never fetched.
            saveBuiltin(node.kind == .set ? "set" : "frozenset")
            work.append(Task(action: .closeObject, opcode: .reduce, node: index))
            work.append(Task(action: .putUnreachable))
            push(version < 2 ? .tuple : .tuple1)
            if version < 2 { emitter.emit(.mark) }
            emitter.emitEmpty(.emptyList, .list)
            putUnreachable()
            pushFill(.list, chain)
        } else if node.kind == .set {
            emitter.emit(.emptySet)
            put(index)
            pushFill(.set, chain)
        } else {
            emitter.emit(.mark)
            work.append(Task(action: .closeFrozenSet, node: index))
            try saveItems(chain, tape)
        }
    }

    private mutating func closeFrozenSet(_ task: Task) {
        if isInMemo(task.node) {
            emitter.emit(.popMark)
            return get(task.node)
        }
        emitter.emit(.frozenSet)
        put(task.node)
    }

    // MARK: Filling

    mutating func pushFill(_ style: Filling, _ chain: ItemChain) {
        guard chain.count > 0 else { return }
        let size: UInt32 = style == .dict || style == .pairs ? 2 : 1
        work.append(Task(action: .fill, style: style, total: chain.count / size, cursor: TapeCursor(chain)))
    }

    /// One step of filling a container: batches of 1000, the last one as CPython's loops end.
    private mutating func fill(_ task: Task, _ tape: borrowing PickleTape) throws(PickleWriteError) {
        var task = task
        let isPaired = task.style == .dict || task.style == .pairs
        var remaining: UInt32 { task.cursor.remaining / (isPaired ? 2 : 1) }
        let many: PickleOpcode =
            isPaired ? .setItems : task.style == .set || task.style == .adds ? .addItems : .appends
        if task.isOpen {
            if task.batch < Self.batch, remaining > 0, try !saveBatch(&task, isPaired, tape) { return }
            emitter.emit(many)
            let wasFull = task.batch == Self.batch
            task.isOpen = false
            task.batch = 0
            if remaining == 0 {
                // CPython's dict and set loops end only with a batch that is not full, empty if need be.
                if wasFull, task.style == .dict || task.style == .set {
                    emitter.emit(.mark)
                    emitter.emit(many)
                }
                return
            }
        }
        guard remaining > 0 else { return }
        let isSingle: Bool
        switch task.style {
        case .list, .dict: isSingle = version == 0 || task.total == 1
        case .items, .pairs: isSingle = version == 0 || remaining == 1
        case .set, .adds: isSingle = false
        }
        if isSingle {
            var rest = task
            let first = rest.cursor.next(in: tape)
            let second = isPaired ? rest.cursor.next(in: tape) : nil
            work.append(rest)
            push(isPaired ? .setItem : .append)
            if let second { pushSave(second) }
            if let first { pushSave(first) }
            return
        }
        emitter.emit(.mark)
        task.isOpen = true
        // The batch is closed in the next step, even if none of its items needed a step.
        if try saveBatch(&task, isPaired, tape) { work.append(task) }
    }

    /// Saves the rest of a batch as long as its items are simple. Returns true if the batch is done, false if a task was
    /// pushed that must be done first.
    private mutating func saveBatch(
        _ task: inout Task, _ isPaired: Bool, _ tape: borrowing PickleTape
    ) throws(PickleWriteError) -> Bool {
        while task.batch < Self.batch, let first = task.cursor.next(in: tape) {
            let second = isPaired ? task.cursor.next(in: tape) : nil
            task.batch += 1
            let isFirstSimple = tape.nodes[first].isSimple
            if isFirstSimple { try save(first, tape) }
            if isFirstSimple, second.map({ tape.nodes[$0].isSimple }) ?? true {
                if let second { try save(second, tape) }
                continue
            }
            work.append(task)
            if let second { pushSave(second) }
            if !isFirstSimple { pushSave(first) }
            return false
        }
        return true
    }

    /// A put for a value that has no node.
    mutating func putUnreachable() {
        emitter.emitPut(memoCount)
        memoCount += 1
    }

    /// Writes a text that is not on the tape, or fetches the one that was written with this key.
    mutating func saveText(_ text: String, key: String) {
        emitter.valueBegins()
        if let memo = spelled[key] { return emitter.emitGet(memo) }
        var utf8 = text
        utf8.withUTF8 { unsafe emitter.emitText(UnsafeRawBufferPointer($0)) }
        putUnreachable()
        spelled[key] = memoCount - 1
    }

    /// Writes the name of a class or function that spells data at old protocols, or fetches it.
    ///
    /// - Parameter lines: the module and the name, each with a line feed.
    mutating func saveName(_ lines: String) {
        emitter.valueBegins()
        if let memo = spelled[lines] { return emitter.emitGet(memo) }
        if version >= 4 {
            for line in lines.split(separator: "\n") { saveText(String(line), key: line + "\n") }
            emitter.emit(.stackGlobal)
        } else {
            emitter.emit(.global)
            appendLines(lines)
        }
        putUnreachable()
        spelled[lines] = memoCount - 1
    }

    /// Appends the argument of GLOBAL or INST, or a part of it.
    mutating func appendLines(_ lines: String) {
        for byte in lines.utf8 { emitter.appendByte(byte) }
    }

    /// The same of a builtin name.
    mutating func saveBuiltin(_ name: String) {
        saveName((version >= 3 ? "builtins\n" : "__builtin__\n") + name + "\n")
    }
}

extension TapeNode {
    /// True if writing it needs no further step.
    @inline(__always) fileprivate var isSimple: Bool { kind.rawValue <= PickleKind.bytearray.rawValue }
}
