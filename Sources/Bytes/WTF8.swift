import Glibc

/// UTF-8 as Python's `surrogatepass` reads it: surrogates may stand like other code points, alone or in pairs.
public enum WTF8 {
    /// True if the bytes are valid. With `surrogates` false they must be strict UTF-8.
    @inlinable @inline(__always)
    public static func isValid(_ bytes: UnsafeRawBufferPointer, surrogates: Bool = true) -> Bool {
        unsafe isASCII(bytes) || isValidBeyondASCII(bytes, surrogates: surrogates)
    }

    /// The same for bytes that aren't ASCII.
    @inline(never)
    public static func isValidBeyondASCII(_ bytes: UnsafeRawBufferPointer, surrogates: Bool = true) -> Bool {
        let count = bytes.count
        var at = 0
        while at < count {
            let lead = unsafe bytes[at]
            if lead < 0x80 {
                if count &- at >= 8, unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self) & highBits == 0 {
                    at &+= 8
                } else {
                    at &+= 1
                }
            } else if lead < 0xe0 {
                // The commonest ones by hand: two bytes, four characters at once where there are four, and below three.
                if count &- at >= 8 {
                    let word = unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                    let leads = (word & 0x001e_001e_001e_001e) &+ 0x7fff_7fff_7fff_7fff
                    if word & 0xc0e0_c0e0_c0e0_c0e0 == 0x80c0_80c0_80c0_80c0,
                        leads & 0x8000_8000_8000_8000 == 0x8000_8000_8000_8000
                    {
                        at &+= 8
                        continue
                    }
                }
                guard lead >= 0xc2, count &- at >= 2, unsafe bytes[at &+ 1] & 0xc0 == 0x80 else { return false }
                at &+= 2
            } else if lead < 0xf0, lead != 0xe0, lead != 0xed {
                guard count &- at >= 3, unsafe bytes[at &+ 1] & 0xc0 == 0x80, unsafe bytes[at &+ 2] & 0xc0 == 0x80
                else {
                    return false
                }
                at &+= 3
            } else {
                guard let (scalar, length) = unsafe scalar(in: bytes, at: at) else { return false }
                if !surrogates, scalar & ~0x7ff == 0xd800 { return false }
                at &+= length
            }
        }
        return true
    }

    /// True if a surrogate stands in valid bytes.
    package static func hasSurrogates(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return false }
        var at = 0
        while at < bytes.count, let found = unsafe memchr(base + at, 0xed, bytes.count - at) {
            at = unsafe UnsafeRawPointer(found) - base + 1
            if at < bytes.count, unsafe bytes[at] >= 0xa0 { return true }
        }
        return false
    }

    @inlinable static var highBits: UInt64 { 0x8080_8080_8080_8080 }

    /// True if every byte is below 0x80. Reads words; the last one may overlap the one before it.
    @inlinable @inline(__always) public static func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let count = bytes.count
        if count >= 8 {
            var at = 0
            while count &- at >= 32 {
                let one = unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                let two = unsafe bytes.loadUnaligned(fromByteOffset: at &+ 8, as: UInt64.self)
                let three = unsafe bytes.loadUnaligned(fromByteOffset: at &+ 16, as: UInt64.self)
                let four = unsafe bytes.loadUnaligned(fromByteOffset: at &+ 24, as: UInt64.self)
                if (one | two | three | four) & highBits != 0 { return false }
                at &+= 32
            }
            while count &- at >= 8 {
                if unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self) & highBits != 0 { return false }
                at &+= 8
            }
            return unsafe bytes.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self) & highBits == 0
        }
        if count >= 4 {
            let head = unsafe bytes.loadUnaligned(as: UInt32.self)
            let tail = unsafe bytes.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
            return (head | tail) & 0x8080_8080 == 0
        }
        var all: UInt8 = 0
        for index in bytes.indices { unsafe all |= bytes[index] }
        return all < 0x80
    }

    /// The code point at an index, surrogates included, and its length in bytes; nil if no whole character begins there.
    @inlinable public static func scalar(
        in bytes: UnsafeRawBufferPointer, at index: Int
    ) -> (scalar: UInt32, length: Int)? {
        let lead = unsafe UInt32(bytes[index])
        if lead < 0x80 { return (lead, 1) }
        if lead >= 0xc2, lead < 0xe0, index &+ 1 < bytes.count {
            let byte = unsafe UInt32(bytes[index &+ 1])
            return byte & 0xc0 == 0x80 ? ((lead & 0x1f) << 6 | byte & 0x3f, 2) : nil
        }
        let length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
        guard lead >= 0xc2, lead <= 0xf4, index &+ length <= bytes.count else { return nil }
        var scalar = lead & (0x7f >> UInt32(length))
        for position in 1..<length {
            let byte = unsafe UInt32(bytes[index &+ position])
            guard byte & 0xc0 == 0x80 else { return nil }
            scalar = scalar << 6 | byte & 0x3f
        }
        let minimum: UInt32 = length == 4 ? 0x1_0000 : length == 3 ? 0x800 : 0x80
        return scalar >= minimum && scalar <= 0x10_ffff ? (scalar, length) : nil
    }

    /// The code point at an index and its length in bytes; U+FFFD, one byte long, where no whole character begins.
    @inlinable public static func decode(
        _ bytes: UnsafeRawBufferPointer, at index: Int
    ) -> (scalar: UInt32, length: Int) {
        unsafe scalar(in: bytes, at: index) ?? (0xfffd, 1)
    }
}

extension RawArray where Element == UInt8 {
    /// Appends bytes that lie outside this array.
    @inlinable public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        unsafe append(from: base.assumingMemoryBound(to: UInt8.self), count: bytes.count)
    }

    /// Appends a code point up to U+10FFFF, surrogates included.
    package mutating func append(codePoint: UInt32) {
        func tail(_ shift: UInt32) -> UInt8 { UInt8(0x80 | (codePoint >> shift) & 0x3f) }
        switch codePoint {
        case ..<0x80:
            append(UInt8(truncatingIfNeeded: codePoint))
        case ..<0x800:
            append(UInt8(0xc0 | codePoint >> 6))
            append(tail(0))
        case ..<0x10000:
            append(UInt8(0xe0 | codePoint >> 12))
            append(tail(6))
            append(tail(0))
        default:
            append(UInt8(0xf0 | codePoint >> 18 & 0x07))
            append(tail(12))
            append(tail(6))
            append(tail(0))
        }
    }
}
