import Bytes

extension PickleValue {
    /// Decodes the pickle at the start of some bytes.
    ///
    /// - Parameters:
    ///   - bytes: a pickle of any protocol; what follows STOP is ignored.
    ///   - limits: bounds on the input.
    ///   - buffers: out-of-band buffers of protocol 5, in order.
    ///   - extensions: the `copyreg` extension registry.
    /// - Throws: `PickleError` with the offset of the opcode that failed; `.cyclic` and `.sharedTooOften` for values
    ///   that are no tree of reasonable size.
    public init(
        decoding bytes: [UInt8], limits: PickleLimits = .init(), buffers: [[UInt8]] = [],
        extensions: PickleExtensionRegistry = .init()
    ) throws(PickleError) {
        let scratch = PickleScratch.borrow(limits: limits)
        defer { scratch.giveBack() }
        self = try scratch.document.decode(bytes, buffers: buffers, extensions: extensions) {
            (document) throws(PickleError) in try document.tree(of: document.root)
        }
    }
}

extension PickleGraph {
    /// The graph below a node as a tree; shared values become equal ones.
    ///
    /// - Throws: `PickleError` of cause `.cyclic`, `.tooDeep` or `.sharedTooOften`.
    public func value(of node: PickleNode, limits: PickleLimits = .init()) throws(PickleError) -> PickleValue {
        do throws(PickleFault) {
            var keyLists = PickleKeyLists()
            keyLists.begin()
            return try storage.document.machine.tape.tree(of: node.index, limits: limits, isShared: true, &keyLists)
        } catch {
            throw PickleError(error, byteOffset: 0, opcodeByte: nil)
        }
    }
}

extension PickleDocument {
    /// The value of a node as a tree.
    package mutating func tree(of node: Node) throws(PickleError) -> PickleValue {
        do throws(PickleFault) {
            return try machine.tape.tree(
                of: node.index, limits: machine.limits, isShared: machine.hasShared, &machine.keyLists)
        } catch {
            throw PickleError(error, byteOffset: machine.opcodeOffset, opcodeByte: PickleOpcode.stop.rawValue)
        }
    }
}

extension PickleTape {
    /// Deepest tree, even if `PickleLimits` allows more: releasing a tree recurses.
    static let deepestTree = 10_000

    /// Builds the tree of a node. If values are shared, its size is computed before anything is built.
    func tree(
        of root: UInt32, limits: PickleLimits, isShared: Bool, _ keyLists: inout PickleKeyLists
    ) throws(PickleFault) -> PickleValue {
        let deepest = min(limits.maximumDepth, Self.deepestTree)
        if isShared {
            if try treeDepth(of: root, budget: limits.maximumTreeValues + nodes.count) > deepest {
                throw PickleFault(.tooDeep, UInt64(deepest))
            }
        } else if Int(nodes[root].depth) > deepest {
            throw PickleFault(.tooDeep, UInt64(deepest))
        }
        return treeValue(root, &keyLists)
    }

    /// The depth of the tree below a node; throws for a cycle and for more values than the budget.
    private func treeDepth(of root: UInt32, budget: Int) throws(PickleFault) -> Int {
        // For each node 0: not seen, -1: on the path, otherwise the size of its tree. A worklist replaces recursion.
        var sizes = RawArray<Int>(capacity: nodes.count)
        sizes.append(repeating: 0, count: nodes.count)
        var depths = RawArray<UInt32>(capacity: nodes.count)
        depths.append(repeating: 0, count: nodes.count)
        var work = RawArray<UInt32>(capacity: 256)
        work.append(root)
        while !work.isEmpty {
            let index = work.removeLast()
            if sizes[index] == 0 {
                sizes[index] = -1
                work.append(index)
                var isCyclic = false
                forEachChild(of: index) { child in
                    if sizes[child] == 0 { work.append(child) } else if sizes[child] < 0 { isCyclic = true }
                }
                if isCyclic { throw PickleFault(.cyclic) }
            } else if sizes[index] < 0 {
                var size = 1
                var depth: UInt32 = 0
                forEachChild(of: index) { child in
                    size = min(size + max(sizes[child], 0), budget + 1)
                    depth = max(depth, depths[child])
                }
                if size > budget { throw PickleFault(.sharedTooOften, UInt64(budget)) }
                sizes[index] = size
                depths[index] = nodes[index].isContainer ? depth + 1 : 0
            }
        }
        return Int(depths[root])
    }

    private func treeValue(_ index: UInt32, _ keyLists: inout PickleKeyLists) -> PickleValue {
        let node = nodes[index]
        switch node.kind {
        case .none: return .null
        case .bool: return .bool(node.first != 0)
        case .int:
            if node.flags.contains(.big) { return unsafe .bigInt(PickleBigInt(content(of: node))) }
            return .int(Int(truncatingIfNeeded: Int64(bitPattern: node.word)))
        case .float: return .float(Double(bitPattern: node.word))
        case .str: return text(node)
        case .byteString: return unsafe .byteString(Array(content(of: node)))
        case .bytes: return unsafe .bytes(Array(content(of: node)))
        case .bytearray: return unsafe .bytearray(Array(content(of: node)))
        case .tuple: return .tuple(treeItems(node.chain, &keyLists))
        case .list: return .list(treeItems(node.chain, &keyLists))
        case .set: return .set(treeItems(node.chain, &keyLists))
        case .frozenset: return .frozenset(treeItems(node.chain, &keyLists))
        case .dict: return .dict(treeDict(node.chain, &keyLists))
        case .global: return .global(name(of: node))
        case .persistentID: return .persistentID(treeValue(node.first, &keyLists))
        case .object: return .object(treeObject(node, &keyLists))
        }
    }

    /// Checked bytes as text: a Swift string unless they hold surrogates.
    private func text(_ node: TapeNode) -> PickleValue {
        let bytes = unsafe content(of: node)
        if !node.flags.contains(.ascii), unsafe WTF8.hasSurrogates(bytes) {
            return unsafe .surrogateString(Array(bytes))
        }
        return unsafe .string(String(decoding: bytes.bindMemory(to: UInt8.self), as: UTF8.self))
    }

    private func treeItems(_ chain: ItemChain, _ keyLists: inout PickleKeyLists) -> [PickleValue] {
        treeItems(chain, from: 0, step: 1, &keyLists)
    }

    private func treeDict(_ chain: ItemChain, _ keyLists: inout PickleKeyLists) -> PickleDict {
        guard chain.count > 1 else { return PickleDict() }
        return PickleDict(
            keys: keyLists.values(of: chain, in: self), values: treeItems(chain, from: 1, step: 2, &keyLists))
    }

    /// The keys of a dict; the chain holds its pairs.
    func treeKeys(_ chain: ItemChain) -> [PickleValue] {
        // Only a key that is an object can hold a dict.
        var keyLists = PickleKeyLists()
        keyLists.begin()
        return treeItems(chain, from: 0, step: 2, &keyLists)
    }

    /// All items of a chain, or every other one.
    private func treeItems(
        _ chain: ItemChain, from first: Int, step: Int, _ keyLists: inout PickleKeyLists
    ) -> [PickleValue] {
        let count = Int(chain.count) / step
        guard count > 0 else { return [] }
        // `reserveCapacity` is specialised; `Array(unsafeUninitializedCapacity:)` looks the array's type up each time.
        var items: [PickleValue] = []
        items.reserveCapacity(count)
        var segment = Int(chain.first)
        var skipped = first
        while segment != 0 {
            let end = segment + 2 + Int(links[segment + 1])
            precondition(end <= links.count)
            var at = segment + 2 + skipped
            while at < end {
                unsafe items.append(treeValue(links.base[at], &keyLists))
                at &+= step
            }
            skipped = at - end
            segment = Int(links[segment])
        }
        return items
    }

    private func treeObject(_ node: TapeNode, _ keyLists: inout PickleKeyLists) -> PickleObject {
        let record = Int(node.first)
        let keywords = links[record + ObjectField.keywords]
        var object = PickleObject(
            PickleConstructor(rawValue: links[record]) ?? .reduce,
            treeValue(links[record + ObjectField.callable], &keyLists),
            arguments: treeItems(nodes[links[record + ObjectField.arguments]].chain, &keyLists),
            keywords: keywords == 0 ? nil : treeDict(nodes[keywords].chain, &keyLists))
        object.states = treeItems(chain(ObjectField.states, ofRecord: node.first), &keyLists)
        object.items = treeItems(chain(ObjectField.items, ofRecord: node.first), &keyLists)
        object.pairs = treeDict(chain(ObjectField.pairs, ofRecord: node.first), &keyLists).pairs
        object.adds = treeItems(chain(ObjectField.adds, ofRecord: node.first), &keyLists)
        return object
    }
}
