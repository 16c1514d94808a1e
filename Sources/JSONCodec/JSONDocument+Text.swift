extension JSONDocument {
    /// True if a string or key has exactly these bytes, escapes resolved.
    func content(of entry: JSONTapeNode, equals other: UnsafeRawBufferPointer) -> Bool {
        let content = bytes(of: entry)
        guard entry.flags.contains(.hasEscapes) else { return sameBytes(content, other) }
        // An escape always takes more bytes than its character.
        guard content.count > other.count else { return false }
        var unescaped = JSONWriter(capacity: content.count)
        unescape(content, into: &unescaped)
        return unescaped.withUnsafeBytes { sameBytes($0, other) }
    }
}

/// Appends a string's content with its escapes resolved. A pair of escaped surrogates becomes one code point; a lone
/// one stays, as WTF-8.
func unescape(_ content: UnsafeRawBufferPointer, into writer: inout JSONWriter) {
    var index = 0
    while index < content.count {
        var end = index
        while end < content.count, content[end] != UInt8(ascii: "\\") { end &+= 1 }
        writer.append(raw: UnsafeRawBufferPointer(rebasing: content[index..<end]))
        guard end < content.count else { return }
        let (scalar, length) = escapedScalar(content, at: end)
        appendWTF8(scalar, to: &writer)
        index = end &+ length
    }
}

/// The code point of the escape at `index` and the escape's length. The scanner has checked that it is whole.
func escapedScalar(_ content: UnsafeRawBufferPointer, at index: Int) -> (scalar: UInt32, length: Int) {
    guard index &+ 1 < content.count else { return (0xFFFD, 1) }
    switch content[index &+ 1] {
    case UInt8(ascii: "n"): return (0x0A, 2)
    case UInt8(ascii: "r"): return (0x0D, 2)
    case UInt8(ascii: "t"): return (0x09, 2)
    case UInt8(ascii: "b"): return (0x08, 2)
    case UInt8(ascii: "f"): return (0x0C, 2)
    case UInt8(ascii: "u"):
        guard index &+ 6 <= content.count, let unit = hexadecimalUnit(content, at: index &+ 2) else {
            return (0xFFFD, 2)
        }
        guard unit & 0xFC00 == 0xD800, index &+ 12 <= content.count, content[index &+ 6] == UInt8(ascii: "\\"),
            content[index &+ 7] == UInt8(ascii: "u"), let low = hexadecimalUnit(content, at: index &+ 8),
            low & 0xFC00 == 0xDC00
        else { return (unit, 6) }
        return (0x1_0000 + (unit & 0x3FF) << 10 + (low & 0x3FF), 12)
    default: return (UInt32(content[index &+ 1]), 2)
    }
}

/// Appends a code point as WTF-8; surrogates are written like any other of three bytes.
func appendWTF8(_ scalar: UInt32, to writer: inout JSONWriter) {
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

/// Bytewise equality.
@inlinable public func sameBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    guard let one = left.baseAddress, let other = right.baseAddress else { return true }
    var index = 0
    while index &+ 8 <= left.count {
        if one.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            != other.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        {
            return false
        }
        index &+= 8
    }
    while index < left.count {
        let byte = one.load(fromByteOffset: index, as: UInt8.self)
        if byte != other.load(fromByteOffset: index, as: UInt8.self) { return false }
        index &+= 1
    }
    return true
}
