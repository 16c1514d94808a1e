extension PickleValue: Hashable {
    public static func == (left: PickleValue, right: PickleValue) -> Bool {
        var comparer = PickleComparer()
        return comparer.areEqual(left, right)
    }

    public func hash(into hasher: inout Hasher) {
        var comparer = PickleComparer()
        hasher.combine(comparer.hash(self))
    }
}

extension PickleDict: Hashable {
    /// True if both hold the same pairs, in whatever order, as in Python.
    public static func == (left: PickleDict, right: PickleDict) -> Bool {
        var comparer = PickleComparer()
        return comparer.areEqual(left, right)
    }

    public func hash(into hasher: inout Hasher) {
        var comparer = PickleComparer()
        hasher.combine(comparer.hash(self))
    }
}

/// Compares and hashes trees in linear time, however they are nested.
///
/// Sets and dicts are compared without order, by hash. Without a cache the same subtree would be hashed again for each set
/// around it, and a comparison in order followed by one without order would take 2**depth. So hashes of sets and dicts are
/// cached by the address of their storage, which the compared values keep alive, and each pair is compared once.
struct PickleComparer {
    private var hashes: [Storage: Int] = [:]

    /// The address of the items of a set, or of the keys and values of a dict.
    private struct Storage: Hashable {
        let keys: UInt
        /// Zero for a set.
        let values: UInt

        init?(_ keys: [PickleValue], _ values: [PickleValue] = []) {
            guard !keys.isEmpty else { return nil }
            self.keys = Self.address(of: keys)
            self.values = Self.address(of: values)
        }

        private static func address(of items: [PickleValue]) -> UInt {
            unsafe items.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
        }
    }

    // MARK: Equality

    mutating func areEqual(_ left: PickleValue, _ right: PickleValue) -> Bool {
        switch (left, right) {
        case (.null, .null): return true
        case (.bool(let one), .bool(let other)): return one == other
        case (.int(let one), .int(let other)): return one == other
        case (.bigInt(let one), .bigInt(let other)): return one == other
        case (.float(let one), .float(let other)): return one.bitPattern == other.bitPattern
        case (.string(let one), .string(let other)): return one.utf8.elementsEqual(other.utf8)
        case (.surrogateString(let one), .surrogateString(let other)), (.byteString(let one), .byteString(let other)),
            (.bytes(let one), .bytes(let other)), (.bytearray(let one), .bytearray(let other)):
            return one == other
        case (.tuple(let one), .tuple(let other)), (.list(let one), .list(let other)): return areEqual(one, other)
        case (.set(let one), .set(let other)), (.frozenset(let one), .frozenset(let other)):
            return areEqualSets(one, other)
        case (.dict(let one), .dict(let other)): return areEqual(one, other)
        case (.global(let one), .global(let other)): return one == other
        case (.object(let one), .object(let other)):
            return one.constructor == other.constructor && areEqual(one.parts, other.parts)
        case (.persistentID(let one), .persistentID(let other)): return areEqual(one, other)
        default: return false
        }
    }

    private mutating func areEqual(_ left: [PickleValue], _ right: [PickleValue]) -> Bool {
        guard left.count == right.count else { return false }
        for index in left.indices where !areEqual(left[index], right[index]) { return false }
        return true
    }

    private mutating func areEqualSets(_ left: [PickleValue], _ right: [PickleValue]) -> Bool {
        guard left.count == right.count else { return false }
        if left.count == 1 { return areEqual(left[0], right[0]) }
        guard let matches = match(left.map { hash($0) }, right.map { hash($0) }) else { return false }
        for index in left.indices where !areEqual(left[index], right[matches[index]]) { return false }
        return true
    }

    mutating func areEqual(_ left: PickleDict, _ right: PickleDict) -> Bool {
        guard left.count == right.count else { return false }
        guard let matches = match(left.keys.map { hash($0) }, right.keys.map { hash($0) }) else { return false }
        for index in left.keys.indices {
            guard areEqual(left.keys[index], right.keys[matches[index]]),
                areEqual(left.values[index], right.values[matches[index]])
            else { return false }
        }
        return true
    }

    /// For each hash on the left the index of an equal one on the right, each index once; nil if one has no match.
    /// Values with equal hashes (64 bits, keyed) are compared afterwards.
    private func match(_ left: [Int], _ right: [Int]) -> [Int]? {
        if left == right { return Array(left.indices) }
        var indices: [Int: [Int]] = [:]
        for (index, hash) in right.enumerated().reversed() { indices[hash, default: []].append(index) }
        var result: [Int] = []
        result.reserveCapacity(left.count)
        for hash in left {
            guard let index = indices[hash]?.popLast() else { return nil }
            result.append(index)
        }
        return result
    }

    // MARK: Hash

    mutating func hash(_ value: PickleValue) -> Int {
        var hasher = Hasher()
        switch value {
        case .null: hasher.combine(0)
        case .bool(let value): hasher.combine(value)
        case .int(let value): hasher.combine(value)
        case .bigInt(let value): hasher.combine(value)
        case .float(let value): hasher.combine(value.bitPattern)
        case .string(var text): text.withUTF8 { unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        case .surrogateString(let bytes), .byteString(let bytes), .bytes(let bytes), .bytearray(let bytes):
            hasher.combine(bytes)
        case .tuple(let items): combine(items, UInt8(ascii: "t"), &hasher)
        case .list(let items): combine(items, UInt8(ascii: "l"), &hasher)
        case .set(let items), .frozenset(let items): return hash(unordered: items)
        case .dict(let dict): return hash(dict)
        case .global(let name): hasher.combine(name)
        case .object(let object):
            hasher.combine(object.constructor)
            combine(object.parts, UInt8(ascii: "o"), &hasher)
        case .persistentID(let id): hasher.combine(hash(id))
        }
        return hasher.finalize()
    }

    private mutating func combine(_ items: [PickleValue], _ kind: UInt8, _ hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(items.count)
        for item in items { hasher.combine(hash(item)) }
    }

    private mutating func hash(unordered items: [PickleValue]) -> Int {
        let storage = Storage(items)
        if let storage, let known = hashes[storage] { return known }
        var sum = items.count
        for item in items { sum &+= hash(item) }
        if let storage { hashes[storage] = sum }
        return sum
    }

    mutating func hash(_ dict: PickleDict) -> Int {
        let storage = Storage(dict.keys, dict.values)
        if let storage, let known = hashes[storage] { return known }
        var sum = ~dict.count
        for index in dict.keys.indices {
            var hasher = Hasher()
            hasher.combine(hash(dict.keys[index]))
            hasher.combine(hash(dict.values[index]))
            sum &+= hasher.finalize()
        }
        if let storage { hashes[storage] = sum }
        return sum
    }
}

extension PickleObject {
    /// All that decides about equality, but the constructor. The order of pairs counts, since they would be set one after the
    /// other.
    fileprivate var parts: [PickleValue] {
        [
            callable, .tuple(arguments), keywords.map { .dict($0) } ?? .null, .list(states), .list(items), .list(adds),
            .list(pairs.flatMap { [$0.key, $0.value] }),
        ]
    }
}
