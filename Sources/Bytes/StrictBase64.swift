/// Base64 of the standard alphabet with padding (RFC 4648, section 4).
package enum StrictBase64 {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    /// The value of each letter, 64 and more for what is none.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, letter) in letters.enumerated() { values[Int(letter)] = UInt8(value) }
        return values
    }()

    package static func append(_ bytes: UnsafeRawBufferPointer, to writer: inout JSONWriter) {
        withUnsafeTemporaryAllocation(byteCount: (bytes.count + 2) / 3 * 4, alignment: 4) { text in
            letters.withUnsafeBufferPointer { encode(bytes, by: $0, into: text) }
            writer.append(raw: UnsafeRawBufferPointer(text))
        }
    }

    private static func encode(
        _ bytes: UnsafeRawBufferPointer, by letters: UnsafeBufferPointer<UInt8>,
        into text: UnsafeMutableRawBufferPointer
    ) {
        var position = 0
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group = Int(bytes[start]) << 16
            if count > 1 { group |= Int(bytes[start + 1]) << 8 }
            if count > 2 { group |= Int(bytes[start + 2]) }
            text[position] = letters[group >> 18]
            text[position + 1] = letters[group >> 12 & 63]
            text[position + 2] = count > 1 ? letters[group >> 6 & 63] : UInt8(ascii: "=")
            text[position + 3] = count > 2 ? letters[group & 63] : UInt8(ascii: "=")
            position += 4
        }
    }

    /// The bytes; nil for what isn't base64.
    package static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        let padding = text.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
        let count = text.count / 4 * 3 - padding
        var isValid = true
        // Three bytes at a time, the last group's rest too.
        let bytes = [UInt8](unsafeUninitializedCapacity: count + 2) { space, initialized in
            values.withUnsafeBufferPointer { values in
                var target = 0
                var seen: UInt8 = 0
                for start in stride(from: 0, to: text.count, by: 4) {
                    var group = 0
                    for offset in start..<start + 4 {
                        let value = offset < text.count - padding ? values[Int(text[offset])] : 0
                        seen |= value
                        group = group << 6 | Int(value & 63)
                    }
                    space[target] = UInt8(truncatingIfNeeded: group >> 16)
                    space[target + 1] = UInt8(truncatingIfNeeded: group >> 8)
                    space[target + 2] = UInt8(truncatingIfNeeded: group)
                    target += 3
                }
                isValid = seen < 64
            }
            initialized = count
        }
        return isValid ? bytes : nil
    }
}
