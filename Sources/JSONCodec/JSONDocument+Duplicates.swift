import Bytes

extension JSONDocument {
    /// Finds keys that stand several times in an object just closed: the first is linked to the last value, the others
    /// are marked. Linear in the object's width; hashing is seeded per process, so keys can't be chosen to collide.
    mutating func resolveDuplicates(in object: UInt32) {
        let first = object + 1
        let end = nodes.base[Int(object)].link
        var width = 0
        var key = first
        while key < end {
            width += 1
            key = nodes.base[Int(key) + 1].link
        }
        // Comparing lengths and first bytes of a few keys is cheaper than hashing them all.
        if width <= 16 {
            resolvePairwise(from: first, to: end)
        } else {
            resolveByHash(from: first, to: end, width: width)
        }
    }

    private mutating func resolvePairwise(from first: UInt32, to end: UInt32) {
        var key = first
        while key < end {
            let entry = nodes.base[Int(key)]
            var earlier = first
            while earlier < key {
                let other = nodes.base[Int(earlier)]
                let differs =
                    entry.length != other.length && !entry.flags.union(other.flags).contains(.hasEscapes)
                if !differs, !other.flags.contains(.isSuperseded), sameKeys(earlier, key) {
                    supersede(key, by: earlier)
                    break
                }
                earlier = nodes.base[Int(earlier) + 1].link
            }
            key = nodes.base[Int(key) + 1].link
        }
    }

    private mutating func resolveByHash(from first: UInt32, to end: UInt32, width: Int) {
        var size = 32
        while size < width * 2 { size *= 2 }
        let empty = UInt32.max
        keySlots.truncate(to: 0)
        keySlots.append(repeating: empty, count: size)
        var key = first
        while key < end {
            var slot = hash(of: key) & (size - 1)
            while keySlots.base[slot] != empty {
                let earlier = keySlots.base[slot]
                if sameKeys(earlier, key) {
                    supersede(key, by: earlier)
                    break
                }
                slot = (slot + 1) & (size - 1)
            }
            if keySlots.base[slot] == empty { keySlots.base[slot] = key }
            key = nodes.base[Int(key) + 1].link
        }
        if size > 1 << 16 { keySlots.shrink(to: 64) }
    }

    private func supersede(_ key: UInt32, by first: UInt32) {
        nodes.base[Int(first)].link = key + 1
        nodes.base[Int(key)].flags.insert(.isSuperseded)
    }

    private mutating func hash(of key: UInt32) -> Int {
        let entry = nodes.base[Int(key)]
        var hasher = Hasher()
        if entry.flags.contains(.hasEscapes) {
            keyText.removeAll()
            unescape(bytes(of: entry), into: &keyText)
            keyText.withUnsafeBytes { hasher.combine(bytes: $0) }
        } else {
            hasher.combine(bytes: bytes(of: entry))
        }
        return hasher.finalize()
    }

    private mutating func sameKeys(_ left: UInt32, _ right: UInt32) -> Bool {
        let (left, right) = (nodes.base[Int(left)], nodes.base[Int(right)])
        guard left.flags.contains(.hasEscapes) || right.flags.contains(.hasEscapes) else {
            return equalBytes(bytes(of: left), bytes(of: right))
        }
        keyText.removeAll()
        otherKeyText.removeAll()
        unescape(bytes(of: left), into: &keyText)
        unescape(bytes(of: right), into: &otherKeyText)
        return keyText.withUnsafeBytes { left in otherKeyText.withUnsafeBytes { equalBytes(left, $0) } }
    }
}
