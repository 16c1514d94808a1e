import Bytes

extension PickleTape {
    /// The extent of a value as a tree, in which a shared value occurs at each of its places.
    struct TreeExtent {
        /// The longest path from the value that doesn't go back to a node on the path.
        var depth = 0
        /// The number of values; one that contains itself counts once.
        var size = 0
        /// True if a value contains itself.
        var isCyclic = false
    }

    /// The extent of a finished value. Linear in nodes and references; a worklist replaces recursion.
    ///
    /// Needed only when a value was fetched again (GET, DUP): the depths noted while parsing don't include later items.
    func treeExtent(of root: UInt32) -> TreeExtent {
        var extent = TreeExtent()
        // For each node 0: not seen, -1: on the path, otherwise the size of its tree.
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
                forEachChild(of: index) { child in
                    if sizes[child] == 0 { work.append(child) } else if sizes[child] < 0 { extent.isCyclic = true }
                }
            } else if sizes[index] < 0 {
                // Second visit: all its children are done.
                var size = 1
                var depth: UInt32 = 0
                forEachChild(of: index) { child in
                    size = min(size + max(sizes[child], 0), Int.max / 2)
                    depth = max(depth, depths[child])
                }
                sizes[index] = size
                depths[index] = nodes[index].isContainer ? depth + 1 : 0
            }
        }
        extent.depth = Int(depths[root])
        extent.size = sizes[root]
        return extent
    }
}

extension TapeNode {
    fileprivate var isContainer: Bool {
        switch kind {
        case .tuple, .list, .set, .frozenset, .dict, .object, .persistentID: true
        default: false
        }
    }
}
