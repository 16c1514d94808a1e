import Bytes

/// The machine's memo: dense while indices follow each other, sparse for any other index.
///
/// `LONG_BINPUT 4294967295` takes one dictionary entry. A slot is dense when its index is at most twice the number
/// of entries, so that memory follows the entries and not the indices.
struct PickleMemo: ~Copyable {
    private var dense = RawArray<UInt32>()
    private var sparse: [UInt64: UInt32] = [:]
    private var isSparse = false
    /// Number of entries, which MEMOIZE takes for its index.
    private(set) var count = 0

    private static let empty = UInt32.max

    mutating func removeAll() {
        dense.shrink(to: 1 << 21)
        if isSparse { sparse = [:] }
        isSparse = false
        count = 0
    }

    /// The node stored under an index.
    @inline(__always) func value(at index: UInt64) -> UInt32? {
        if index < UInt64(dense.count) {
            let node = dense[Int(index)]
            if node != Self.empty { return node }
        }
        return isSparse ? sparseValue(at: index) : nil
    }

    // Not inlined: the dictionary would be retained before it is known to be needed.
    @inline(never) private func sparseValue(at index: UInt64) -> UInt32? { sparse[index] }

    /// Stores a node; false when that would be one entry too many.
    @inline(__always) mutating func store(_ node: UInt32, at index: UInt64, limit: Int) -> Bool {
        if index == UInt64(dense.count), !isSparse {
            if count >= limit { return false }
            dense.append(node)
            count &+= 1
            return true
        }
        return storeSlowly(node, at: index, limit: limit)
    }

    /// Stores a node at the index that is the number of entries, as MEMOIZE does; false when that is one too many.
    @inline(__always) mutating func append(_ node: UInt32, limit: Int) -> Bool {
        guard count == dense.count, !isSparse, count < limit else {
            return storeSlowly(node, at: UInt64(count), limit: limit)
        }
        dense.append(node)
        count &+= 1
        return true
    }

    @inline(never) private mutating func storeSlowly(_ node: UInt32, at index: UInt64, limit: Int) -> Bool {
        if index < UInt64(dense.count), dense[Int(index)] != Self.empty {
            dense[Int(index)] = node
            return true
        }
        if isSparse, sparse[index] != nil {
            sparse[index] = node
            return true
        }
        if count >= limit { return false }
        count += 1
        if index <= UInt64(2 * count + 256) {
            let missing = Int(index) + 1 - dense.count
            if missing > 0 { dense.append(repeating: Self.empty, count: missing) }
            dense[Int(index)] = node
        } else {
            sparse[index] = node
            isSparse = true
        }
        return true
    }
}
