import Bytes

/// Scratch of key resolution, reused between pickles.
struct KeyScratch: ~Copyable {
    /// Open-addressed table of positions in `resolved`, plus one; 0 is free.
    var slots = RawArray<UInt32>()
    /// Keys and values of the container being resolved, each key once.
    var resolved = RawArray<UInt32>()
    /// For each node the first node that is equal to it; empty until a tuple or frozenset is a key.
    var classes = RawArray<UInt32>()
    var classSlots = RawArray<UInt32>()
}

// Equal keys: the last value wins at the first position; in a set the first element stays. Done when the pickle has
// been read, because equality of keys can't change any more. Time is linear: tables are seeded (no flooding), and
// tuples and frozensets are compared by classes, which are numbered bottom-up, so that a tuple of 2**n leaves costs n.
extension PickleMachine {
    /// Resolves equal keys in all dicts and sets of the pickle.
    mutating func resolveKeys() {
        keys.classes.truncate(to: 0)
        var at = 0
        while at < pending.count {
            let index = pending[at]
            let node = tape.nodes[index]
            tape.nodes[index].flags.remove(.pending)
            if node.kind != .dict || !hasDistinctTextKeys(node) { resolve(index, node) }
            at += 1
        }
    }

    /// A fast check for small dicts with only str keys: true if no two are equal.
    private mutating func hasDistinctTextKeys(_ node: TapeNode) -> Bool {
        let count = Int(node.count)
        // One segment of few pairs: otherwise the table is faster.
        guard count <= 2 * PickleKeyLists.maximumKeys, node.first == node.last else { return false }
        let base = Int(node.first) + 2
        if keyLists.find(base, count: count / 2, in: tape) != nil { return true }
        guard areDistinctTexts(base, count) else { return false }
        _ = keyLists.keep(base, count: count / 2, of: tape)
        return true
    }

    private func areDistinctTexts(_ base: Int, _ count: Int) -> Bool {
        // With 128 bits, two of eight keys collide by chance in one of five dicts.
        var seenLow: UInt64 = 0
        var seenHigh: UInt64 = 0
        var at = 0
        while at < count {
            let key = tape.nodes[tape.links[base + at]]
            guard key.kind == .str else { return false }
            let bytes = unsafe tape.content(of: key)
            if let first = unsafe bytes.first, let last = unsafe bytes.last {
                let mixed =
                    UInt32(first) &* 0x9e37 ^ UInt32(last) &* 0x85eb ^ UInt32(truncatingIfNeeded: bytes.count) &* 0xc2b3
                let place = (mixed &* 0x9e37_79b1) >> 25
                let bit = UInt64(1) &<< UInt64(place & 63)
                let isMet = place < 64 ? seenLow & bit != 0 : seenHigh & bit != 0
                if isMet, unsafe hasEqualText(bytes, before: at, base) { return false }
                if place < 64 { seenLow |= bit } else { seenHigh |= bit }
            } else if unsafe hasEqualText(bytes, before: at, base) {
                return false
            }
            at += 2
        }
        return true
    }

    private func hasEqualText(_ bytes: UnsafeRawBufferPointer, before end: Int, _ base: Int) -> Bool {
        var at = 0
        while at < end {
            if unsafe equalBytes(tape.content(of: tape.nodes[tape.links[base + at]]), bytes) { return true }
            at += 2
        }
        return false
    }

    private mutating func resolve(_ container: UInt32, _ node: TapeNode) {
        let step = node.kind == .dict ? 2 : 1
        let size = tableSize(for: Int(node.count) / step)
        keys.slots.truncate(to: 0)
        keys.slots.append(repeating: 0, count: size)
        keys.resolved.truncate(to: 0)
        var items = TapeCursor(node.chain)
        var isValue = false
        var index = 0
        while let item = items.next(in: tape) {
            if isValue {
                if index == keys.resolved.count { keys.resolved.append(item) } else { keys.resolved[index] = item }
                isValue = false
            } else {
                index = insert(item, step: step)
                isValue = step == 2
            }
        }
        guard keys.resolved.count < Int(node.count) else { return }
        var chain = ItemChain()
        // Fewer items than before: the bound on `links` was checked for more.
        try? unsafe tape.extend(&chain, from: UnsafePointer(keys.resolved.base), count: keys.resolved.count)
        tape.nodes[container].chain = chain
    }

    /// Finds an equal key or appends this one; returns where its value belongs.
    private mutating func insert(_ key: UInt32, step: Int) -> Int {
        let mask = keys.slots.count - 1
        var slot = keyHash(key) & mask
        while keys.slots[slot] != 0 {
            let found = Int(keys.slots[slot]) - 1
            if areEqualKeys(keys.resolved[found], key) { return found + 1 }
            slot = (slot + 1) & mask
        }
        keys.slots[slot] = UInt32(keys.resolved.count + 1)
        keys.resolved.append(key)
        return keys.resolved.count
    }

    private func tableSize(for count: Int) -> Int {
        var size = 16
        while size < count * 2 { size *= 2 }
        return size
    }

    // MARK: Hash and equality

    private mutating func keyHash(_ index: UInt32) -> Int {
        let kind = tape.nodes[index].kind
        guard kind == .tuple || kind == .frozenset else { return scalarHash(index) }
        if keys.classes.isEmpty { numberClasses() }
        return keys.classes[index].hashValue
    }

    private func scalarHash(_ index: UInt32) -> Int {
        var hasher = Hasher()
        let node = tape.nodes[index]
        switch node.kind {
        case .bool, .int, .float:
            switch tape.number(node) {
            case .small(let value): hasher.combine(value)
            case .big(let bytes): unsafe hasher.combine(bytes: bytes)
            case .bigFloat(let bits):
                unsafe PickleNumber.bytes(ofFloat: bits).withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
            case .fraction(let bits): hasher.combine(bits)
            case .nan: hasher.combine(index)
            }
        case .str, .bytes, .byteString:
            hasher.combine(node.kind.rawValue)
            unsafe hasher.combine(bytes: tape.content(of: node))
        case .global:
            unsafe hasher.combine(bytes: tape.content(of: tape.nodes[node.first]))
            hasher.combine(0x00 as UInt8)
            unsafe hasher.combine(bytes: tape.content(of: tape.nodes[node.last]))
        default:
            hasher.combine(index)
        }
        return hasher.finalize()
    }

    private func areEqualKeys(_ left: UInt32, _ right: UInt32) -> Bool {
        if left == right { return true }
        let one = tape.nodes[left]
        let other = tape.nodes[right]
        switch (one.kind, other.kind) {
        case (.bool, .bool), (.bool, .int), (.bool, .float), (.int, .bool), (.int, .int), (.int, .float),
            (.float, .bool), (.float, .int), (.float, .float):
            return areEqual(tape.number(one), tape.number(other))
        case (.str, .str), (.bytes, .bytes), (.byteString, .byteString):
            return unsafe equalBytes(tape.content(of: one), tape.content(of: other))
        case (.global, .global):
            return unsafe equalBytes(tape.content(of: tape.nodes[one.first]), tape.content(of: tape.nodes[other.first]))
                && equalBytes(tape.content(of: tape.nodes[one.last]), tape.content(of: tape.nodes[other.last]))
        case (.tuple, .tuple), (.frozenset, .frozenset):
            return !keys.classes.isEmpty && keys.classes[left] == keys.classes[right]
        default:
            return false
        }
    }

    private func areEqual(_ one: PickleNumber, _ other: PickleNumber) -> Bool {
        switch (one, other) {
        case (.small(let left), .small(let right)): left == right
        case (.big(let left), .big(let right)): unsafe equalBytes(left, right)
        case (.bigFloat(let left), .bigFloat(let right)), (.fraction(let left), .fraction(let right)): left == right
        case (.big(let bytes), .bigFloat(let bits)), (.bigFloat(let bits), .big(let bytes)):
            unsafe PickleNumber.bytes(ofFloat: bits).withUnsafeBytes { unsafe equalBytes($0, bytes) }
        default: false
        }
    }

    // MARK: Classes

    /// Numbers the equality classes of all hashable nodes in one forward pass: the members of a tuple or
    /// frozenset were made before it.
    private mutating func numberClasses() {
        let count = tape.nodes.count
        keys.classes.append(repeating: 0, count: count)
        keys.classSlots.truncate(to: 0)
        keys.classSlots.append(repeating: 0, count: tableSize(for: count))
        let mask = keys.classSlots.count - 1
        var index: UInt32 = 0
        while Int(index) < count {
            keys.classes[index] = index
            let node = tape.nodes[index]
            if !node.flags.contains(.unhashable) {
                let members = node.kind == .tuple || node.kind == .frozenset ? memberClasses(node) : []
                var slot = classHash(index, node, members) & mask
                while keys.classSlots[slot] != 0 {
                    let found = keys.classSlots[slot] - 1
                    if isSameClass(found, index, members) {
                        keys.classes[index] = found
                        break
                    }
                    slot = (slot + 1) & mask
                }
                if keys.classSlots[slot] == 0 { keys.classSlots[slot] = index + 1 }
            }
            index += 1
        }
    }

    /// The classes in a tuple in order, or in a frozenset sorted and once each.
    private func memberClasses(_ node: TapeNode) -> [UInt32] {
        var members: [UInt32] = []
        members.reserveCapacity(Int(node.count))
        tape.forEach(in: node.chain) { members.append(keys.classes[$0]) }
        guard node.kind == .frozenset else { return members }
        members.sort()
        var unique: [UInt32] = []
        for member in members where unique.last != member { unique.append(member) }
        return unique
    }

    private func classHash(_ index: UInt32, _ node: TapeNode, _ members: [UInt32]) -> Int {
        guard node.kind == .tuple || node.kind == .frozenset else { return scalarHash(index) }
        var hasher = Hasher()
        hasher.combine(node.kind.rawValue)
        hasher.combine(members)
        return hasher.finalize()
    }

    private func isSameClass(_ found: UInt32, _ index: UInt32, _ members: [UInt32]) -> Bool {
        let node = tape.nodes[index]
        guard node.kind == .tuple || node.kind == .frozenset else { return areEqualKeys(found, index) }
        let other = tape.nodes[found]
        return other.kind == node.kind && memberClasses(other) == members
    }
}
