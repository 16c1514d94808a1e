import Bytes

extension PickleTape {
    /// The nesting of a finished value: the longest path from it that does not go back to a node on the path.
    ///
    /// Linear in nodes and references; recursion is a worklist. Needed only when a container was fetched again
    /// (GET, DUP), because what was put into it later is not in the depths noted while parsing.
    func depth(of root: UInt32) -> Int {
        // 0: not seen, UInt32.max: on the path, otherwise depth + 1.
        var state = RawArray<UInt32>(capacity: nodes.count)
        state.append(repeating: 0, count: nodes.count)
        var work = RawArray<UInt32>(capacity: 256)
        work.append(root)
        while !work.isEmpty {
            let index = work.removeLast()
            switch state[index] {
            case 0:
                state[index] = .max
                work.append(index)
                forEachChild(of: index) { child in
                    if state[child] == 0 { work.append(child) }
                }
            case .max:
                // Second visit: all its children are done.
                state[index] = depth(of: index, from: state) + 1
            default:
                break
            }
        }
        return Int(state[root]) - 1
    }

    private func depth(of index: UInt32, from state: borrowing RawArray<UInt32>) -> UInt32 {
        guard nodes[index].isContainer else { return 0 }
        var deepest: UInt32 = 0
        forEachChild(of: index) { child in
            let known = state[child]
            if known != .max { deepest = max(deepest, known == 0 ? 0 : known - 1) }
        }
        return deepest + 1
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
