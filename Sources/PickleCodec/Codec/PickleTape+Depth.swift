extension PickleTape {
    /// The nesting of a finished value: the longest path from it that does not go back to a node on the path.
    ///
    /// Linear in nodes and references; a worklist replaces recursion. Needed only when a container was fetched again
    /// (GET, DUP), because the depths noted while parsing don't include items that were added to it later.
    ///
    /// - Parameter treeBudget: if set, the value must be a tree when shared nodes are counted each time they occur:
    ///   throws `.cyclic`, or `.sharedTooOften` for a tree of more nodes.
    func depth(of root: UInt32, treeBudget: Int? = nil) throws(PickleFault) -> Int {
        // For each node 0: not seen, -1: on the path, otherwise the size of its tree.
        var sizes = RawArray<Int>(capacity: nodes.count)
        sizes.append(repeating: 0, count: nodes.count)
        var depths = RawArray<UInt32>(capacity: nodes.count)
        depths.append(repeating: 0, count: nodes.count)
        let largest = treeBudget ?? 1
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
                if isCyclic, treeBudget != nil { throw PickleFault(.cyclic) }
            } else if sizes[index] < 0 {
                // Second visit: all its children are done.
                var size = 1
                var depth: UInt32 = 0
                forEachChild(of: index) { child in
                    size = min(size + max(sizes[child], 0), largest + 1)
                    depth = max(depth, depths[child])
                }
                if let treeBudget, size > treeBudget { throw PickleFault(.sharedTooOften, UInt64(treeBudget)) }
                sizes[index] = size
                depths[index] = nodes[index].isContainer ? depth + 1 : 0
            }
        }
        return Int(depths[root])
    }
}

extension TapeNode {
    var isContainer: Bool {
        switch kind {
        case .tuple, .list, .set, .frozenset, .dict, .object, .persistentID: true
        default: false
        }
    }
}
