/// A hash of short texts: 128-bit products of secret words and words of the text, folded to 64 bits. The words are random,
/// so that nobody can choose texts that collide. Takes a third of `Hasher`'s time.
public struct KeyedHash: Sendable {
    private let first: UInt64
    private let second: UInt64

    init(first: UInt64, second: UInt64) {
        self.first = first
        self.second = second
    }

    /// The hash of this process.
    public static let ofThisProcess = KeyedHash(first: .random(in: .min ... .max), second: .random(in: .min ... .max))

    /// Never 0. Not inlined: its callers are small and are inlined themselves.
    @inline(never) public func hash(of bytes: UnsafeRawBufferPointer) -> UInt64 {
        guard let base = bytes.baseAddress else { return 1 << 63 }
        let count = bytes.count
        var state = first ^ UInt64(truncatingIfNeeded: count)
        var at = 0
        while count &- at > 16 {
            state = unsafe Self.fold(Self.word(base, at) ^ second, Self.word(base, at &+ 8) ^ state)
            at &+= 16
        }
        // If fewer than sixteen bytes are left, the last words overlap the ones before.
        let (low, high): (UInt64, UInt64)
        if count >= 16 {
            (low, high) = unsafe (Self.word(base, count &- 16), Self.word(base, count &- 8))
        } else if count >= 8 {
            (low, high) = unsafe (Self.word(base, 0), Self.word(base, count &- 8))
        } else if count >= 4 {
            (low, high) = unsafe (Self.half(base, 0), Self.half(base, count &- 4))
        } else if count > 0 {
            let middle = unsafe base.load(fromByteOffset: count / 2, as: UInt8.self)
            let last = unsafe base.load(fromByteOffset: count &- 1, as: UInt8.self)
            low = unsafe UInt64(base.load(as: UInt8.self)) << 16 | UInt64(middle) << 8 | UInt64(last)
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
        unsafe base.loadUnaligned(fromByteOffset: at, as: UInt64.self)
    }

    private static func half(_ base: UnsafeRawPointer, _ at: Int) -> UInt64 {
        unsafe UInt64(base.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    }
}
