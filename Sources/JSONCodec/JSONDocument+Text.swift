import Bytes

extension JSONDocument {
    /// True if a string or key has exactly these bytes, escapes resolved.
    func content(of entry: JSONTapeNode, equals other: UnsafeRawBufferPointer) -> Bool {
        let content = unsafe bytes(of: entry)
        guard entry.flags.contains(.hasEscapes) else { return unsafe equalBytes(content, other) }
        // An escape always takes more bytes than its character.
        guard content.count > other.count else { return false }
        var unescaped = JSONWriter(capacity: content.count)
        unsafe unescape(content, into: &unescaped)
        return unsafe unescaped.withUnsafeBytes { unsafe equalBytes($0, other) }
    }
}

/// Appends a string's content with its escapes resolved. A pair of escaped surrogates becomes one code point; a lone
/// one stays, as WTF-8.
///
/// - Parameter isRespelled: escapes the result again as `json.dumps` does.
func unescape(_ content: UnsafeRawBufferPointer, into writer: inout JSONWriter, isRespelled: Bool = false) {
    // What has been read and not yet appended.
    var (index, end) = (0, 0)
    while true {
        while end < content.count, unsafe content[end] != UInt8(ascii: "\\") { end &+= 1 }
        let plain = unsafe UnsafeRawBufferPointer(rebasing: content[index..<end])
        if isRespelled { unsafe writer.appendEscaped(wtf8: plain) } else { unsafe writer.append(raw: plain) }
        guard end < content.count else { return }
        index = end &+ 1
        if index < content.count, unsafe standsForItself(content[index]) {
            // It begins the next plain text.
            end = index &+ 1
            continue
        }
        let (scalar, length) = unsafe escapedScalar(content, at: end)
        if isRespelled { writer.appendScalar(scalar) } else { writer.append(codePoint: scalar) }
        index = end &+ length
        end = index
    }
}

/// True for the characters whose escape is a backslash and the character: in a JSON text within a JSON string, most escapes.
private func standsForItself(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == UInt8(ascii: "/")
}

/// The code point of the escape at `index` and the escape's length. The scanner has checked that it is whole.
func escapedScalar(_ content: UnsafeRawBufferPointer, at index: Int) -> (scalar: UInt32, length: Int) {
    guard index &+ 1 < content.count else { return (0xFFFD, 1) }
    switch unsafe content[index &+ 1] {
    case UInt8(ascii: "n"): return (0x0A, 2)
    case UInt8(ascii: "r"): return (0x0D, 2)
    case UInt8(ascii: "t"): return (0x09, 2)
    case UInt8(ascii: "b"): return (0x08, 2)
    case UInt8(ascii: "f"): return (0x0C, 2)
    case UInt8(ascii: "u"):
        guard index &+ 6 <= content.count, let unit = unsafe hexadecimalUnit(content, at: index &+ 2) else {
            return (0xFFFD, 2)
        }
        guard unit & 0xFC00 == 0xD800, index &+ 12 <= content.count, unsafe content[index &+ 6] == UInt8(ascii: "\\"),
            unsafe content[index &+ 7] == UInt8(ascii: "u"), let low = unsafe hexadecimalUnit(content, at: index &+ 8),
            low & 0xFC00 == 0xDC00
        else { return (unit, 6) }
        return (0x1_0000 + (unit & 0x3FF) << 10 + (low & 0x3FF), 12)
    default: return unsafe (UInt32(content[index &+ 1]), 2)
    }
}
