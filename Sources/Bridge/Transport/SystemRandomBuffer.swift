import Glibc

/// Random numbers of the system, drawn 32 at a time: each client needs four, and one at a time would cost four system calls.
struct SystemRandomBuffer: RandomNumberGenerator {
    private var words: [UInt64] = []

    mutating func next() -> UInt64 {
        if let word = words.popLast() { return word }
        words = [UInt64](unsafeUninitializedCapacity: 32) { buffer, count in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            if let start = bytes.baseAddress, getentropy(start, bytes.count) == 0 { count = buffer.count }
        }
        if let word = words.popLast() { return word }
        var system = SystemRandomNumberGenerator()
        return system.next()
    }
}
