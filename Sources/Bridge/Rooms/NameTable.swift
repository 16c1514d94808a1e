import JSONCodec

/// Values by name, which are found by the bytes of a message as they stand there, without a key made of them.
///
/// Open addressing with linear probing, at most three quarters full. Clients choose the names of rooms, so where a name
/// goes depends on a secret of this process.
struct NameTable<Value> {
    /// 0 where nothing is.
    private var hashes: ContiguousArray<UInt64>
    private var entries: ContiguousArray<(name: ByteString, value: Value)?>
    private(set) var count = 0
    private let seed: NameHash

    init() {
        hashes = [0, 0, 0, 0]
        entries = [nil, nil, nil, nil]
        seed = .ofThisProcess
    }

    var isEmpty: Bool { count == 0 }
    var names: some Sequence<ByteString> { entries.lazy.compactMap { $0?.name } }
    var values: some Sequence<Value> { entries.lazy.compactMap { $0?.value } }

    func contains(_ name: UnsafeRawBufferPointer) -> Bool { find(name) != nil }

    subscript(bytes name: UnsafeRawBufferPointer) -> Value? {
        find(name).flatMap { entries[$0]?.value }
    }

    subscript(name: ByteString) -> Value? {
        get { name.withUnsafeBytes { self[bytes: $0] } }
        set {
            if let newValue { insert(newValue, name) } else { removeValue(for: name) }
        }
    }

    /// Where a name's value is.
    private func find(_ name: UnsafeRawBufferPointer) -> Int? {
        let hash = seed.hash(of: name)
        return hashes.withUnsafeBufferPointer { hashes in
            let mask = hashes.count &- 1
            var place = Int(truncatingIfNeeded: hash) & mask
            while hashes[place] != 0 {
                if hashes[place] == hash, entries[place]?.name.hasBytes(name) == true { return place }
                place = (place &+ 1) & mask
            }
            return nil
        }
    }

    private mutating func insert(_ value: Value, _ name: ByteString) {
        if let place = name.withUnsafeBytes({ find($0) }) {
            entries[place]?.value = value
            return
        }
        if (count + 1) * 4 > hashes.count * 3 { grow() }
        let hash = name.withUnsafeBytes { seed.hash(of: $0) }
        let place = freePlace(for: hash)
        hashes[place] = hash
        entries[place] = (name, value)
        count += 1
    }

    private func freePlace(for hash: UInt64) -> Int {
        let mask = hashes.count - 1
        var place = Int(truncatingIfNeeded: hash) & mask
        while hashes[place] != 0 { place = (place + 1) & mask }
        return place
    }

    private mutating func grow() {
        let (oldHashes, oldEntries) = (hashes, entries)
        hashes = ContiguousArray(repeating: 0, count: oldHashes.count * 2)
        entries = ContiguousArray(repeating: nil, count: oldHashes.count * 2)
        for (hash, entry) in zip(oldHashes, oldEntries) where hash != 0 {
            let place = freePlace(for: hash)
            hashes[place] = hash
            entries[place] = entry
        }
    }

    /// Closes the hole by moving up what had to make way, so that searches need no marks of what was removed.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    mutating func removeValue(for name: ByteString) -> Bool {
        guard var hole = name.withUnsafeBytes({ find($0) }) else { return false }
        count -= 1
        let mask = hashes.count - 1
        var place = hole
        while true {
            place = (place + 1) & mask
            guard hashes[place] != 0 else { break }
            let home = Int(truncatingIfNeeded: hashes[place]) & mask
            // Stays where it is if its home lies behind the hole, going round.
            if (place - home) & mask < (place - hole) & mask { continue }
            hashes[hole] = hashes[place]
            entries[hole] = entries[place]
            hole = place
        }
        hashes[hole] = 0
        entries[hole] = nil
        return true
    }
}

/// A hash of short texts: products of secret words with the text's, folded.
struct NameHash {
    private let first: UInt64
    private let second: UInt64

    static let ofThisProcess = NameHash(first: .random(in: .min ... .max), second: .random(in: .min ... .max))

    /// Never 0.
    func hash(of bytes: UnsafeRawBufferPointer) -> UInt64 {
        guard let base = bytes.baseAddress else { return 1 << 63 }
        let count = bytes.count
        var state = first ^ UInt64(truncatingIfNeeded: count)
        var at = 0
        while count &- at > 16 {
            state = Self.fold(Self.word(base, at) ^ second, Self.word(base, at &+ 8) ^ state)
            at &+= 16
        }
        // The last words overlap what came before where less than sixteen bytes are left.
        let (low, high): (UInt64, UInt64)
        if count >= 16 {
            (low, high) = (Self.word(base, count &- 16), Self.word(base, count &- 8))
        } else if count >= 8 {
            (low, high) = (Self.word(base, 0), Self.word(base, count &- 8))
        } else if count >= 4 {
            (low, high) = (Self.half(base, 0), Self.half(base, count &- 4))
        } else if count > 0 {
            let middle = base.load(fromByteOffset: count / 2, as: UInt8.self)
            let last = base.load(fromByteOffset: count &- 1, as: UInt8.self)
            low = UInt64(base.load(as: UInt8.self)) << 16 | UInt64(middle) << 8 | UInt64(last)
            high = 0
        } else {
            (low, high) = (0, 0)
        }
        state = Self.fold(low ^ second, high ^ state)
        return Self.fold(state ^ first, second) | 1 << 63
    }

    private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    private static func word(_ base: UnsafeRawPointer, _ at: Int) -> UInt64 {
        base.loadUnaligned(fromByteOffset: at, as: UInt64.self)
    }

    private static func half(_ base: UnsafeRawPointer, _ at: Int) -> UInt64 {
        UInt64(base.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    }
}
