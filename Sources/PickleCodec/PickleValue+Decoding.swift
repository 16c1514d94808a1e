extension PickleValue {
    /// Decodes the pickle at the start of some bytes.
    ///
    /// - Parameters:
    ///   - bytes: a pickle of any protocol; what follows STOP is ignored.
    ///   - limits: bounds on what is decoded.
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
        self = try scratch.document.decodeTree(bytes, buffers: buffers, extensions: extensions)
    }
}

extension PickleGraph {
    /// The graph below a node as a tree; shared values become equal ones.
    ///
    /// - Throws: `PickleError` of cause `.cyclic`, `.tooDeep` or `.sharedTooOften`.
    public func value(of node: PickleNode, limits: PickleLimits = .init()) throws(PickleError) -> PickleValue {
        do throws(PickleFault) {
            return try storage.tape.tree(of: node.index, limits: limits, isShared: true)
        } catch {
            throw PickleError(error, byteOffset: 0, opcodeByte: nil)
        }
    }
}

extension PickleDocument {
    mutating func decodeTree(
        _ bytes: [UInt8], buffers: [[UInt8]], extensions: PickleExtensionRegistry
    ) throws(PickleError) -> PickleValue {
        var failure: PickleError?
        var value = PickleValue.null
        if buffers.isEmpty, extensions.names.isEmpty {
            bytes.withUnsafeBytes { bytes in
                do throws(PickleError) {
                    try parse(bytes)
                    value = try tree(of: root)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            return value
        }
        let joined = buffers.flatMap { $0 }
        bytes.withUnsafeBytes { bytes in
            joined.withUnsafeBytes { all in
                var start = 0
                let pieces = buffers.map { buffer in
                    defer { start += buffer.count }
                    return UnsafeRawBufferPointer(rebasing: all[start..<(start + buffer.count)])
                }
                do throws(PickleError) {
                    try parse(bytes, buffers: pieces, extensions: extensions)
                    value = try tree(of: root)
                } catch {
                    failure = error
                }
            }
        }
        if let failure { throw failure }
        return value
    }

    /// The value of a node as a tree.
    package func tree(of node: Node) throws(PickleError) -> PickleValue {
        do throws(PickleFault) {
            return try machine.tape.tree(of: node.index, limits: machine.limits, isShared: machine.hasShared)
        } catch {
            throw PickleError(error, byteOffset: machine.opcodeOffset, opcodeByte: PickleOpcode.stop.rawValue)
        }
    }
}

extension PickleTape {
    /// Deepest tree, whatever `PickleLimits` says: releasing one recurses.
    static let deepestTree = 10_000

    /// Builds the tree of a node. Where values are shared, its size is known before anything is built.
    func tree(of root: UInt32, limits: PickleLimits, isShared: Bool) throws(PickleFault) -> PickleValue {
        let deepest = min(limits.maximumDepth, Self.deepestTree)
        if isShared {
            if try treeDepth(of: root, budget: limits.maximumTreeValues + nodes.count) > deepest {
                throw PickleFault(.tooDeep, UInt64(deepest))
            }
        } else if Int(nodes[root].depth) > deepest {
            throw PickleFault(.tooDeep, UInt64(deepest))
        }
        return treeValue(root)
    }

    /// The depth of the tree below a node; throws for a cycle and for more values than the budget.
    private func treeDepth(of root: UInt32, budget: Int) throws(PickleFault) -> Int {
        // For each node 0 = not met, -1 = on the path, else the size of its tree; a worklist instead of recursion.
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

    private func treeValue(_ index: UInt32) -> PickleValue {
        let node = nodes[index]
        switch node.kind {
        case .none: return .null
        case .bool: return .bool(node.first != 0)
        case .int:
            if node.flags.contains(.big) { return .bigInt(PickleBigInt(content(of: node))) }
            return .int(Int(truncatingIfNeeded: Int64(bitPattern: node.word)))
        case .float: return .float(Double(bitPattern: node.word))
        case .str: return Self.text(content(of: node))
        case .byteString: return .byteString(Array(content(of: node)))
        case .bytes: return .bytes(Array(content(of: node)))
        case .bytearray: return .bytearray(Array(content(of: node)))
        case .tuple: return .tuple(treeItems(chain(of: node)))
        case .list: return .list(treeItems(chain(of: node)))
        case .set: return .set(treeItems(chain(of: node)))
        case .frozenset: return .frozenset(treeItems(chain(of: node)))
        case .dict: return .dict(PickleDict(treePairs(chain(of: node))))
        case .global: return .global(treeName(node))
        case .persistentID: return .persistentID(treeValue(node.first))
        case .object: return .object(treeObject(node))
        }
    }

    /// Checked bytes as text: all but those with surrogates are a Swift string.
    private static func text(_ bytes: UnsafeRawBufferPointer) -> PickleValue {
        if !WTF8.isASCII(bytes), WTF8.hasSurrogates(bytes) { return .surrogateString(Array(bytes)) }
        return .string(String(decoding: bytes.bindMemory(to: UInt8.self), as: UTF8.self))
    }

    private func treeItems(_ chain: ItemChain) -> [PickleValue] {
        guard chain.count > 0 else { return [] }
        var items: [PickleValue] = []
        items.reserveCapacity(Int(chain.count))
        var cursor = TapeCursor(chain)
        while let item = cursor.next(in: self) { items.append(treeValue(item)) }
        return items
    }

    private func treePairs(_ chain: ItemChain) -> [PickleDict.Pair] {
        guard chain.count > 1 else { return [] }
        var pairs: [PickleDict.Pair] = []
        pairs.reserveCapacity(Int(chain.count / 2))
        var cursor = TapeCursor(chain)
        while let key = cursor.next(in: self), let value = cursor.next(in: self) {
            pairs.append(.init(key: treeValue(key), value: treeValue(value)))
        }
        return pairs
    }

    private func treeName(_ node: TapeNode) -> PickleName {
        PickleName(
            module: String(decoding: content(of: nodes[node.first]), as: UTF8.self),
            name: String(decoding: content(of: nodes[node.last]), as: UTF8.self))
    }

    private func treeObject(_ node: TapeNode) -> PickleObject {
        let record = Int(node.first)
        let keywords = links[record + ObjectField.keywords]
        var object = PickleObject(
            PickleConstructor(rawValue: links[record]) ?? .reduce, treeValue(links[record + ObjectField.callable]),
            arguments: treeItems(chain(of: nodes[links[record + ObjectField.arguments]])),
            keywords: keywords == 0 ? nil : PickleDict(treePairs(chain(of: nodes[keywords]))))
        object.states = treeItems(chain(ObjectField.states, ofRecord: node.first))
        object.items = treeItems(chain(ObjectField.items, ofRecord: node.first))
        object.pairs = treePairs(chain(ObjectField.pairs, ofRecord: node.first))
        object.adds = treeItems(chain(ObjectField.adds, ofRecord: node.first))
        return object
    }
}
