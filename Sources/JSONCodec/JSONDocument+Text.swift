import Bytes

extension JSONDocument {
    /// True if a string or key has exactly these bytes, escapes resolved.
    func content(of entry: JSONTapeNode, equals other: UnsafeRawBufferPointer) -> Bool {
        let content = bytes(of: entry)
        guard entry.flags.contains(.hasEscapes) else { return equalBytes(content, other) }
        // An escape always takes more bytes than its character.
        guard content.count > other.count else { return false }
        var unescaped = JSONWriter(capacity: content.count)
        unescape(content, into: &unescaped)
        return unescaped.withUnsafeBytes { equalBytes($0, other) }
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
        writer.append(codePoint: scalar)
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
