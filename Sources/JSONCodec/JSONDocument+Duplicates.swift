import Bytes

extension JSONDocument {
    /// Finds keys that stand several times in an object just closed: the first is linked to the last value, the others
    /// are marked. Linear in the object's width; the hash is seeded for each process, so that keys can't be chosen to collide.
    mutating func resolveDuplicates(in object: UInt32) {
        let end = unsafe nodes.base[Int(object)].link
        var width = 0
        var key = object + 1
        while key < end {
            width += 1
            key = unsafe nodes.base[Int(key) + 1].link
        }
        guard width > 1 else { return }
        var size = 32
        while size < width * 2 { size *= 2 }
        let empty = UInt32.max
        keySlots.truncate(to: 0)
        keySlots.append(repeating: empty, count: size)
        key = object + 1
        while key < end {
            var slot = hash(of: key) & (size - 1)
            while unsafe keySlots.base[slot] != empty {
                let earlier = unsafe keySlots.base[slot]
                if hasSameText(earlier, key) {
                    supersede(key, by: earlier)
                    break
                }
                slot = (slot + 1) & (size - 1)
            }
            if unsafe keySlots.base[slot] == empty { unsafe keySlots.base[slot] = key }
            key = unsafe nodes.base[Int(key) + 1].link
        }
        if size > 1 << 16 { keySlots.shrink(to: 64) }
    }

    private func supersede(_ key: UInt32, by first: UInt32) {
        unsafe nodes.base[Int(first)].link = key + 1
        unsafe nodes.base[Int(key)].flags.insert(.isSuperseded)
    }

    private mutating func hash(of key: UInt32) -> Int {
        let entry = unsafe nodes.base[Int(key)]
        guard entry.flags.contains(.hasEscapes) else {
            return unsafe Int(truncatingIfNeeded: keyHash.hash(of: bytes(of: entry)))
        }
        keyText.removeAll()
        unsafe unescape(bytes(of: entry), into: &keyText)
        return unsafe keyText.withUnsafeBytes { unsafe Int(truncatingIfNeeded: keyHash.hash(of: $0)) }
    }

    private mutating func hasSameText(_ left: UInt32, _ right: UInt32) -> Bool {
        let (left, right) = unsafe (nodes.base[Int(left)], nodes.base[Int(right)])
        guard left.flags.contains(.hasEscapes) || right.flags.contains(.hasEscapes) else {
            return unsafe equalBytes(bytes(of: left), bytes(of: right))
        }
        keyText.removeAll()
        otherKeyText.removeAll()
        unsafe unescape(bytes(of: left), into: &keyText)
        unsafe unescape(bytes(of: right), into: &otherKeyText)
        return unsafe keyText.withUnsafeBytes { left in
            unsafe otherKeyText.withUnsafeBytes { unsafe equalBytes(left, $0) }
        }
    }
}
