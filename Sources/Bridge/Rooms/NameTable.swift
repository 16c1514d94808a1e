import Bytes

/// Values by name. A lookup takes the name's bytes directly from a message, without making a key of them.
///
/// Open addressing with linear probing, at most three quarters full. Clients choose the names of rooms, so the hash depends on
/// a secret of this process. The table uses raw memory, because reading Swift arrays would retain and release them on every
/// lookup.
@safe final class NameTable<Value> {
    private struct Entry {
        let name: ByteString
        var value: Value
    }

    /// 0 marks an empty slot. There are `capacity` hashes, a power of two, and as many entries.
    private var hashes: UnsafeMutablePointer<UInt64>
    /// Initialized where the hash isn't 0.
    private var entries: UnsafeMutablePointer<Entry>
    private var capacity: Int
    private(set) var count = 0
    private let seed: KeyedHash

    init() {
        capacity = 4
        unsafe (hashes, entries) = unsafe Self.allocate(capacity)
        seed = .ofThisProcess
    }

    deinit {
        for index in 0..<capacity where unsafe hashes[index] != 0 {
            unsafe (entries + index).deinitialize(count: 1)
        }
        unsafe hashes.deallocate()
        unsafe entries.deallocate()
    }

    private static func allocate(_ capacity: Int) -> (UnsafeMutablePointer<UInt64>, UnsafeMutablePointer<Entry>) {
        let hashes = UnsafeMutablePointer<UInt64>.allocate(capacity: capacity)
        unsafe hashes.initialize(repeating: 0, count: capacity)
        return unsafe (hashes, .allocate(capacity: capacity))
    }

    var isEmpty: Bool { count == 0 }
    var names: [ByteString] { occupied.map { unsafe entries[$0].name } }
    var values: [Value] { occupied.map { unsafe entries[$0].value } }

    private var occupied: [Int] { (0..<capacity).filter { unsafe hashes[$0] != 0 } }

    func contains(_ name: UnsafeRawBufferPointer) -> Bool { unsafe find(name) != nil }

    subscript(bytes name: UnsafeRawBufferPointer) -> Value? {
        unsafe find(name).map { unsafe entries[$0].value }
    }

    subscript(name: ByteString) -> Value? {
        get { unsafe name.withUnsafeBytes { unsafe self[bytes: $0] } }
        set {
            if let newValue { insert(newValue, name) } else { removeValue(for: name) }
        }
    }

    /// The slot of a name.
    private func find(_ name: UnsafeRawBufferPointer) -> Int? {
        let hash = unsafe seed.hash(of: name)
        let mask = capacity &- 1
        var index = Int(truncatingIfNeeded: hash) & mask
        while unsafe hashes[index] != 0 {
            if unsafe hashes[index] == hash, unsafe entries[index].name.hasBytes(name) { return index }
            index = (index &+ 1) & mask
        }
        return nil
    }

    private func insert(_ value: Value, _ name: ByteString) {
        if let index = unsafe name.withUnsafeBytes({ unsafe find($0) }) {
            unsafe entries[index].value = value
            return
        }
        if (count + 1) * 4 > capacity * 3 { grow() }
        let hash = unsafe name.withUnsafeBytes { unsafe seed.hash(of: $0) }
        let index = freeIndex(for: hash)
        unsafe hashes[index] = hash
        unsafe (entries + index).initialize(to: Entry(name: name, value: value))
        count += 1
    }

    private func freeIndex(for hash: UInt64) -> Int {
        let mask = capacity - 1
        var index = Int(truncatingIfNeeded: hash) & mask
        while unsafe hashes[index] != 0 { index = (index + 1) & mask }
        return index
    }

    private func grow() {
        let (oldHashes, oldEntries, oldCapacity) = unsafe (hashes, entries, capacity)
        capacity = oldCapacity * 2
        unsafe (hashes, entries) = unsafe Self.allocate(capacity)
        for old in 0..<oldCapacity where unsafe oldHashes[old] != 0 {
            let index = unsafe freeIndex(for: oldHashes[old])
            unsafe hashes[index] = unsafe oldHashes[old]
            unsafe (entries + index).moveInitialize(from: oldEntries + old, count: 1)
        }
        unsafe oldHashes.deallocate()
        unsafe oldEntries.deallocate()
    }

    /// Closes the hole by moving later entries up, so that searches need no marks for removed entries.
    ///
    /// - Returns: whether the name had a value.
    @discardableResult
    func removeValue(for name: ByteString) -> Bool {
        guard var hole = unsafe name.withUnsafeBytes({ unsafe find($0) }) else { return false }
        count -= 1
        unsafe (entries + hole).deinitialize(count: 1)
        let mask = capacity - 1
        var index = hole
        while true {
            index = (index + 1) & mask
            guard unsafe hashes[index] != 0 else { break }
            let home = unsafe Int(truncatingIfNeeded: hashes[index]) & mask
            // The entry stays if its home slot lies behind the hole, counted around the end of the table.
            if (index - home) & mask < (index - hole) & mask { continue }
            unsafe hashes[hole] = unsafe hashes[index]
            unsafe (entries + hole).moveInitialize(from: entries + index, count: 1)
            hole = index
        }
        unsafe hashes[hole] = 0
        return true
    }
}
