extension PickleMachine {
    /// The facts about a run of stack items that matter to their container.
    private struct ItemTraits {
        var depth: UInt16 = 0
        var flags = TapeNode.Flags(rawValue: 0)
    }

    /// The largest depth among stack items, and the union of their flags.
    @inline(__always) private func traits(from: Int, to: Int) -> ItemTraits {
        precondition(from >= 0 && to <= stack.count)
        var traits = ItemTraits()
        var at = from
        while at < to {
            // Every stack item is a node of the tape.
            let node = unsafe tape.nodes.base[Int(stack.base[at])]
            if node.depth > traits.depth { traits.depth = node.depth }
            traits.flags.formUnion(node.flags)
            at &+= 1
        }
        return traits
    }

    /// Moves the stack items from a height on into a chain and takes them off the stack.
    @inline(__always)
    private mutating func moveItems(from height: Int, to chain: inout ItemChain) throws(PickleFault) {
        try unsafe tape.extend(&chain, from: UnsafePointer(stack.base + height), count: stack.count - height)
        stack.truncate(to: height)
    }

    @inline(__always) private func raised(_ depth: UInt16) -> UInt16 { depth == .max ? .max : depth + 1 }

    /// Replaces the items from a height on by one container of them.
    mutating func gather(_ kind: PickleKind, from height: Int) throws(PickleFault) {
        let traits = traits(from: height, to: stack.count)
        var chain = ItemChain()
        try moveItems(from: height, to: &chain)
        var flags: TapeNode.Flags = kind == .tuple ? traits.flags.intersection(.unhashable) : .unhashable
        if kind == .frozenset { flags = [] }
        try push(TapeNode(kind, flags, depth: raised(traits.depth), chain: chain))
    }

    mutating func makeTuple(count: Int) throws(PickleFault) {
        try need(count)
        try gather(.tuple, from: stack.count - count)
    }

    mutating func makeDict(from height: Int) throws(PickleFault) {
        try checkPairs(from: height)
        try gather(.dict, from: height)
        notePending(stack[stack.count - 1])
    }

    /// A new set or frozenset of the items from a height on.
    mutating func makeSet(_ kind: PickleKind, from height: Int) throws(PickleFault) {
        try checkHashable(from: height, step: 1)
        try gather(kind, from: height)
        notePending(stack[stack.count - 1])
    }

    /// Remembers that equal keys may have to be resolved when the pickle has been read.
    private mutating func notePending(_ index: UInt32) {
        let node = tape.nodes[index]
        guard node.count > (node.kind == .dict ? 2 : 1), !node.flags.contains(.pending) else { return }
        tape.nodes[index].flags.insert(.pending)
        pending.append(index)
    }

    private func checkHashable(from height: Int, step: Int) throws(PickleFault) {
        precondition(height >= 0)
        var at = height
        while at < stack.count {
            if unsafe tape.nodes.base[Int(stack.base[at])].flags.contains(.unhashable) {
                throw PickleFault(.unhashable)
            }
            at &+= step
        }
    }

    private func checkPairs(from height: Int) throws(PickleFault) {
        if (stack.count - height) & 1 != 0 { throw PickleFault(.oddItems) }
        try checkHashable(from: height, step: 2)
    }

    // MARK: Filling

    mutating func appendOne() throws(PickleFault) {
        try need(2)
        try fill(ObjectField.items, from: stack.count - 1)
    }

    mutating func appendMany() throws(PickleFault) {
        let height = try popMark()
        // With no items, CPython's C reader accepts any target and leaves it alone.
        if height == stack.count, height > fence { return }
        try needTarget(below: height)
        try fill(ObjectField.items, from: height)
    }

    mutating func setOne() throws(PickleFault) {
        try need(3)
        try fill(ObjectField.pairs, from: stack.count - 2)
    }

    mutating func setMany() throws(PickleFault) {
        let height = try popMark()
        try needTarget(below: height)
        if (stack.count - height) & 1 != 0 { throw PickleFault(.oddItems) }
        try fill(ObjectField.pairs, from: height)
    }

    mutating func addMany() throws(PickleFault) {
        let height = try popMark()
        try needTarget(below: height)
        try fill(ObjectField.adds, from: height)
    }

    private func needTarget(below height: Int) throws(PickleFault) {
        if height <= fence { throw PickleFault(marks.isEmpty ? .stackUnderflow : .unexpectedMark) }
    }

    /// Moves the items from a height on into the list, dict, set or object below them.
    private mutating func fill(_ field: Int, from height: Int) throws(PickleFault) {
        let target = stack[height - 1]
        let node = tape.nodes[target]
        let kind: PickleKind =
            field == ObjectField.items ? .list : field == ObjectField.pairs ? .dict : .set
        guard node.kind == kind else { return try fillObject(field, target, node, from: height) }
        let traits = traits(from: height, to: stack.count)
        if kind != .list, traits.flags.contains(.unhashable) {
            try checkHashable(from: height, step: kind == .dict ? 2 : 1)
        }
        let depth = raised(traits.depth)
        var chain = node.chain
        try moveItems(from: height, to: &chain)
        tape.nodes[target].chain = chain
        if depth > node.depth { tape.nodes[target].depth = depth }
        if kind != .list { notePending(target) }
    }

    private mutating func fillObject(
        _ field: Int, _ target: UInt32, _ node: TapeNode, from height: Int
    ) throws(PickleFault) {
        guard node.kind == .object else {
            throw PickleFault(
                field == ObjectField.items ? .notAList : field == ObjectField.pairs ? .notADict : .notASet)
        }
        let depth = raised(traits(from: height, to: stack.count).depth)
        var chain = tape.chain(field, ofRecord: node.first)
        try moveItems(from: height, to: &chain)
        tape.setChain(chain, field, ofRecord: node.first)
        if depth > node.depth { tape.nodes[target].depth = depth }
    }

    /// BUILD: gives a state to the object below it.
    mutating func build() throws(PickleFault) {
        try need(2)
        let target = stack[stack.count - 2]
        let node = tape.nodes[target]
        if node.kind != .object {
            // CPython ignores the state None, whatever the target is.
            guard stack[stack.count - 1] == PickleTape.none else { throw PickleFault(.notBuildable) }
            _ = stack.removeLast()
            return
        }
        try fillObject(ObjectField.states, target, node, from: stack.count - 1)
    }
}
