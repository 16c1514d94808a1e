import Glibc

/// UTF-8 as Python's `surrogatepass` reads it: surrogates may stand like other code points, alone or in pairs.
public enum WTF8 {
    /// Whether the bytes are valid. With `surrogates` false they must be strict UTF-8.
    @inlinable @inline(__always) public static func isValid(_ bytes: UnsafeRawBufferPointer, surrogates: Bool = true) -> Bool {
        isASCII(bytes) || isValidBeyondASCII(bytes, surrogates: surrogates)
    }

    /// The same for bytes that aren't ASCII.
    @inline(never) public static func isValidBeyondASCII(_ bytes: UnsafeRawBufferPointer, surrogates: Bool = true) -> Bool {
        let count = bytes.count
        var at = 0
        while at < count {
            let lead = bytes[at]
            if lead < 0x80 {
                if count &- at >= 8, bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self) & highBits == 0 {
                    at &+= 8
                } else {
                    at &+= 1
                }
            } else if lead < 0xe0 {
                // The commonest ones by hand: two bytes, four characters at once where there are four, and below three.
                if count &- at >= 8 {
                    let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                    let leads = (word & 0x001e_001e_001e_001e) &+ 0x7fff_7fff_7fff_7fff
                    if word & 0xc0e0_c0e0_c0e0_c0e0 == 0x80c0_80c0_80c0_80c0,
                        leads & 0x8000_8000_8000_8000 == 0x8000_8000_8000_8000
                    {
                        at &+= 8
                        continue
                    }
                }
                guard lead >= 0xc2, count &- at >= 2, bytes[at &+ 1] & 0xc0 == 0x80 else { return false }
                at &+= 2
            } else if lead < 0xf0, lead != 0xe0, lead != 0xed {
                guard count &- at >= 3, bytes[at &+ 1] & 0xc0 == 0x80, bytes[at &+ 2] & 0xc0 == 0x80 else {
                    return false
                }
                at &+= 3
            } else {
                let length = sequenceLength(bytes, at, surrogates)
                if length == 0 { return false }
                at &+= length
            }
        }
        return true
    }

    /// True if a surrogate stands in valid bytes.
    package static func hasSurrogates(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return false }
        var at = 0
        while at < bytes.count, let found = memchr(base + at, 0xed, bytes.count - at) {
            at = UnsafeRawPointer(found) - base + 1
            if at < bytes.count, bytes[at] >= 0xa0 { return true }
        }
        return false
    }

    @inlinable static var highBits: UInt64 { 0x8080_8080_8080_8080 }

    /// Length of the multi-byte sequence at an offset, 0 if it is not well-formed.
    private static func sequenceLength(_ bytes: UnsafeRawBufferPointer, _ at: Int, _ surrogates: Bool) -> Int {
        let lead = bytes[at]
        let left = bytes.count - at
        func continues(_ offset: Int) -> Bool { bytes[at + offset] & 0xc0 == 0x80 }
        switch lead {
        case 0xc2...0xdf:
            return left >= 2 && continues(1) ? 2 : 0
        case 0xe0...0xef:
            guard left >= 3, continues(1), continues(2) else { return 0 }
            let second = bytes[at + 1]
            if lead == 0xe0 && second < 0xa0 { return 0 }
            if lead == 0xed && second >= 0xa0 && !surrogates { return 0 }
            return 3
        case 0xf0...0xf4:
            guard left >= 4, continues(1), continues(2), continues(3) else { return 0 }
            let second = bytes[at + 1]
            if lead == 0xf0 && second < 0x90 || lead == 0xf4 && second > 0x8f { return 0 }
            return 4
        default:
            return 0
        }
    }

    /// True if every byte is below 0x80. Reads words; the last one may overlap the one before it.
    @inlinable @inline(__always) public static func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let count = bytes.count
        if count >= 8 {
            var at = 0
            while count &- at >= 32 {
                let one = bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                let two = bytes.loadUnaligned(fromByteOffset: at &+ 8, as: UInt64.self)
                let three = bytes.loadUnaligned(fromByteOffset: at &+ 16, as: UInt64.self)
                let four = bytes.loadUnaligned(fromByteOffset: at &+ 24, as: UInt64.self)
                if (one | two | three | four) & highBits != 0 { return false }
                at &+= 32
            }
            while count &- at >= 8 {
                if bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self) & highBits != 0 { return false }
                at &+= 8
            }
            return bytes.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self) & highBits == 0
        }
        if count >= 4 {
            let head = bytes.loadUnaligned(as: UInt32.self)
            let tail = bytes.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
            return (head | tail) & 0x8080_8080 == 0
        }
        var all: UInt8 = 0
        for byte in bytes { all |= byte }
        return all < 0x80
    }

    /// The code point at an offset of valid bytes, and its length.
    @inlinable public static func decode(_ bytes: UnsafeRawBufferPointer, at: Int) -> (scalar: UInt32, length: Int) {
        let lead = UInt32(bytes[at])
        func low(_ offset: Int) -> UInt32 { UInt32(bytes[at + offset] & 0x3f) }
        if lead < 0x80 { return (lead, 1) }
        if lead < 0xe0 { return ((lead & 0x1f) << 6 | low(1), 2) }
        if lead < 0xf0 { return ((lead & 0x0f) << 12 | low(1) << 6 | low(2), 3) }
        return ((lead & 0x07) << 18 | low(1) << 12 | low(2) << 6 | low(3), 4)
    }
}

extension RawArray where Element == UInt8 {
    /// Appends a code point up to U+10FFFF, surrogates included.
    package mutating func append(codePoint: UInt32) {
        func tail(_ shift: UInt32) -> UInt8 { UInt8(0x80 | (codePoint >> shift) & 0x3f) }
        switch codePoint {
        case ..<0x80:
            append(UInt8(codePoint))
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

/// True if two runs of bytes are the same.
@inlinable @inline(__always) public func equalBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    guard left.count > 0, let one = left.baseAddress, let other = right.baseAddress else { return true }
    return memcmp(one, other, left.count) == 0
}

/// The same without a call, which for a key of a message costs more than the comparison.
@inlinable @inline(__always) public func equalShortBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    let count = left.count
    guard count == right.count, let one = left.baseAddress, let other = right.baseAddress else { return count == 0 }
    var at = 0
    while count &- at >= 4 {
        let word = one.loadUnaligned(fromByteOffset: at, as: UInt32.self)
        if word != other.loadUnaligned(fromByteOffset: at, as: UInt32.self) { return false }
        at &+= 4
    }
    while at < count {
        let byte = one.load(fromByteOffset: at, as: UInt8.self)
        if byte != other.load(fromByteOffset: at, as: UInt8.self) { return false }
        at &+= 1
    }
    return true
}

/// True if bytes are those of a literal.
@inlinable @inline(__always) public func equalBytes(_ left: UnsafeRawBufferPointer, _ literal: StaticString) -> Bool {
    guard left.count == literal.utf8CodeUnitCount else { return false }
    return equalBytes(left, UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
}

/// Appends a code point as WTF-8; surrogates are written like any other of three bytes.
package func appendWTF8(_ scalar: UInt32, to writer: inout JSONWriter) {
    func byte(_ value: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: value) }
    switch scalar {
    case ..<0x80: writer.append(byte(scalar))
    case ..<0x800:
        writer.append(byte(0xC0 | scalar >> 6))
        writer.append(byte(0x80 | scalar & 0x3F))
    case ..<0x1_0000:
        writer.append(byte(0xE0 | scalar >> 12))
        writer.append(byte(0x80 | scalar >> 6 & 0x3F))
        writer.append(byte(0x80 | scalar & 0x3F))
    default:
        writer.append(byte(0xF0 | scalar >> 18))
        writer.append(byte(0x80 | scalar >> 12 & 0x3F))
        writer.append(byte(0x80 | scalar >> 6 & 0x3F))
        writer.append(byte(0x80 | scalar & 0x3F))
    }
}
