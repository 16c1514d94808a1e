import Bytes

/// The key lists of the latest dicts with only str keys, from this pickle and earlier ones.
///
/// The rows of a table and successive messages have the same keys. Keys found here are known to be distinct, and dicts
/// of a tree share one array of them. Bounded: 16 lists of few and short keys, 4 KiB of text.
struct PickleKeyLists: ~Copyable {
    /// The texts of each list, each after a byte with its length and filled up to eight bytes or a multiple, in
    /// `textCapacity` bytes for each list.
    private var texts = RawArray<UInt8>()
    /// The number of keys of each list, 0 for none.
    private var counts = RawArray<UInt32>()
    /// The index of each list in the links of the current tape, for the fastest comparison; 0 if it is of an earlier pickle.
    private var places = RawArray<UInt32>()
    /// The keys of each list, empty before a tree needs them.
    private var values: [[PickleValue]] = []

    private static let capacity = 16
    private static let textCapacity = 256
    static let maximumKeys = 16

    /// Forgets the indices of the lists: another tape follows.
    mutating func begin() {
        places.truncate(to: 0)
        places.append(repeating: 0, count: Self.capacity)
    }

    /// The slot of the list with the same keys as a dict whose pairs begin at `first` in the links; nil if there is none.
    mutating func find(_ first: Int, count: Int, in tape: borrowing PickleTape) -> Int? {
        guard !counts.isEmpty, let slot = slot(first, count, tape), counts[slot] == UInt32(count) else { return nil }
        let known = Int(places[slot])
        if known == first || known > 0 && isSame(known, first, count, in: tape) { return slot }
        guard hasTexts(of: slot, first, count, in: tape) else { return nil }
        places[slot] = UInt32(truncatingIfNeeded: first)
        return slot
    }

    /// Keeps the keys of a dict, which are distinct; nil if they aren't few and short texts.
    mutating func keep(_ first: Int, count: Int, of tape: borrowing PickleTape) -> Int? {
        guard count <= Self.maximumKeys, let slot = slot(first, count, tape) else { return nil }
        if counts.isEmpty {
            counts.append(repeating: 0, count: Self.capacity)
            texts.append(repeating: 0, count: Self.capacity * Self.textCapacity)
        }
        if !values.isEmpty { values[slot] = [] }
        counts[slot] = 0
        guard keepTexts(in: slot, first, count, of: tape) else { return nil }
        counts[slot] = UInt32(count)
        places[slot] = UInt32(truncatingIfNeeded: first)
        return slot
    }

    /// The keys of a dict as values; the chain holds its pairs.
    mutating func values(of chain: ItemChain, in tape: borrowing PickleTape) -> [PickleValue] {
        let count = Int(chain.count / 2)
        let first = Int(chain.first) + 2
        // Only dicts of one segment and few keys: others are rare and not worth a comparison.
        guard count > 0, count <= Self.maximumKeys, chain.first == chain.last,
            let slot = find(first, count: count, in: tape) ?? keep(first, count: count, of: tape)
        else { return tape.treeKeys(chain) }
        if values.isEmpty { values = Array(repeating: [], count: Self.capacity) }
        if values[slot].isEmpty { values[slot] = tape.treeKeys(chain) }
        return values[slot]
    }

    /// The slot of a list with these keys; nil if the first key is no text.
    private func slot(_ first: Int, _ count: Int, _ tape: borrowing PickleTape) -> Int? {
        let key = tape.nodes[tape.links[first]]
        guard key.kind == .str, let byte = unsafe tape.content(of: key).first else { return nil }
        return (Int(key.count) &+ Int(byte) &+ count &* 5) & (Self.capacity - 1)
    }

    /// True if the keys of two dicts are the same nodes, as in rows whose keys come from the memo.
    private func isSame(_ known: Int, _ first: Int, _ count: Int, in tape: borrowing PickleTape) -> Bool {
        var at = 0
        while at < 2 &* count {
            if tape.links[known &+ at] != tape.links[first &+ at] { return false }
            at &+= 2
        }
        return true
    }

    private func hasTexts(of slot: Int, _ first: Int, _ count: Int, in tape: borrowing PickleTape) -> Bool {
        precondition(first >= 0 && first &+ 2 &* count <= tape.links.count)
        guard let input = unsafe tape.input.baseAddress else { return false }
        let lastWord = unsafe tape.input.count &- 8
        var known = unsafe UnsafeRawPointer(texts.base + slot &* Self.textCapacity)
        var at = first
        while at < first &+ 2 &* count {
            // Every link is a node of the tape.
            let key = unsafe tape.nodes.base[Int(tape.links.base[at])]
            let length = unsafe Int(known.load(as: UInt8.self))
            guard key.kind == .str, key.count == UInt32(truncatingIfNeeded: length) else { return false }
            // Most keys fit into one word; the bytes after the key are shifted out.
            if length <= 8, Int(key.first) <= lastWord, !key.flags.contains(.inScratch) {
                let word = unsafe input.loadUnaligned(fromByteOffset: Int(key.first), as: UInt64.self)
                let other = unsafe known.loadUnaligned(fromByteOffset: 1, as: UInt64.self)
                if UInt64(littleEndian: word ^ other) &<< UInt64(64 &- 8 &* length) != 0 { return false }
            } else {
                let text = unsafe UnsafeRawBufferPointer(start: known + 1, count: length)
                guard unsafe equalBytes(tape.content(of: key), text) else { return false }
            }
            unsafe known += Self.room(for: length)
            at &+= 2
        }
        return true
    }

    /// Bytes that a text and its length take.
    @inline(__always) private static func room(for length: Int) -> Int { 1 &+ max(8, (length &+ 7) & ~7) }

    /// Keeps the texts of a list; false if a key is no short text.
    private mutating func keepTexts(in slot: Int, _ first: Int, _ count: Int, of tape: borrowing PickleTape) -> Bool {
        var place = slot * Self.textCapacity
        let end = place + Self.textCapacity
        var at = first
        while at < first + 2 * count {
            let key = tape.nodes[tape.links[at]]
            let room = Self.room(for: Int(key.count))
            guard key.kind == .str, key.count < 256, place + room <= end else { return false }
            texts[place] = UInt8(key.count)
            for unsafe(offset, byte) in unsafe tape.content(of: key).enumerated() { texts[place + 1 + offset] = byte }
            place += room
            at += 2
        }
        return true
    }
}
