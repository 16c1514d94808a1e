import Bytes

/// Encodings that `json.loads` tells apart by their first bytes.
private enum TextEncoding {
    case utf8
    case utf16(bigEndian: Bool)
    case utf32(bigEndian: Bool)

    /// The encoding and the length of the byte order mark, as Python's `json.detect_encoding`.
    static func detect(_ bytes: UnsafeRawBufferPointer) -> (encoding: TextEncoding, markLength: Int) {
        if unsafe bytes.starts(with: [0x00, 0x00, 0xFE, 0xFF]) { return (.utf32(bigEndian: true), 4) }
        if unsafe bytes.starts(with: [0xFF, 0xFE, 0x00, 0x00]) { return (.utf32(bigEndian: false), 4) }
        if unsafe bytes.starts(with: [0xFE, 0xFF]) { return (.utf16(bigEndian: true), 2) }
        if unsafe bytes.starts(with: [0xFF, 0xFE]) { return (.utf16(bigEndian: false), 2) }
        if unsafe bytes.starts(with: [0xEF, 0xBB, 0xBF]) { return (.utf8, 3) }
        if bytes.count >= 4 {
            if unsafe bytes[0] == 0 {
                return unsafe (bytes[1] == 0 ? .utf32(bigEndian: true) : .utf16(bigEndian: true), 0)
            }
            if unsafe bytes[1] == 0 {
                return unsafe (bytes[2] == 0 && bytes[3] == 0 ? .utf32(bigEndian: false) : .utf16(bigEndian: false), 0)
            }
        } else if bytes.count == 2 {
            if unsafe bytes[0] == 0 { return (.utf16(bigEndian: true), 0) }
            if unsafe bytes[1] == 0 { return (.utf16(bigEndian: false), 0) }
        }
        return (.utf8, 0)
    }
}

extension JSONDocument {
    /// The text as UTF-8 without a byte order mark: the input itself, or its transcoding in own scratch.
    mutating func utf8(_ bytes: UnsafeRawBufferPointer) throws(JSONError) -> UnsafeRawBufferPointer {
        // The first two bytes of nearly every text settle it.
        if bytes.count > 2, unsafe bytes[0] &- 1 < 0x7F, unsafe bytes[1] &- 1 < 0x7F { return unsafe bytes }
        let (encoding, markLength) = unsafe TextEncoding.detect(bytes)
        let body = unsafe UnsafeRawBufferPointer(rebasing: bytes[markLength...])
        switch encoding {
        case .utf8: return unsafe body
        case .utf16(let bigEndian): try unsafe transcodeUTF16(body, bigEndian: bigEndian)
        case .utf32(let bigEndian): try unsafe transcodeUTF32(body, bigEndian: bigEndian)
        }
        return unsafe transcoded.withUnsafeBytes { unsafe $0 }
    }

    private mutating func transcodeUTF16(_ bytes: UnsafeRawBufferPointer, bigEndian: Bool) throws(JSONError) {
        func unit(_ index: Int) -> UInt32 {
            let (first, second) = unsafe (UInt32(bytes[index]), UInt32(bytes[index + 1]))
            return bigEndian ? first << 8 | second : second << 8 | first
        }
        guard bytes.count % 2 == 0 else { throw JSONError(.badUnicode, at: bytes.count) }
        transcoded.removeAll()
        var index = 0
        while index < bytes.count {
            var scalar = unit(index)
            index += 2
            // A surrogate without its partner stays alone ("surrogatepass").
            if scalar & 0xFC00 == 0xD800, index < bytes.count, unit(index) & 0xFC00 == 0xDC00 {
                scalar = 0x1_0000 + (scalar & 0x3FF) << 10 + (unit(index) & 0x3FF)
                index += 2
            }
            transcoded.append(codePoint: scalar)
        }
    }

    private mutating func transcodeUTF32(_ bytes: UnsafeRawBufferPointer, bigEndian: Bool) throws(JSONError) {
        guard bytes.count % 4 == 0 else { throw JSONError(.badUnicode, at: bytes.count) }
        transcoded.removeAll()
        for index in stride(from: 0, to: bytes.count, by: 4) {
            let word = unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt32.self)
            let scalar = bigEndian ? UInt32(bigEndian: word) : UInt32(littleEndian: word)
            guard scalar <= 0x10_FFFF else { throw JSONError(.badUnicode, at: index) }
            transcoded.append(codePoint: scalar)
        }
    }
}
