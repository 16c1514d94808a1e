/// Base64 of the standard alphabet (RFC 4648, section 4). Always written with padding.
package enum Base64 {
    /// The texts that a reader accepts.
    package enum Rules {
        /// Groups of four characters, padded, and nothing else.
        case strict
        /// Like Python's `base64.b64decode`: bytes outside the alphabet are skipped, such as the line feeds that the Java
        /// and Android client writes, and reading ends where the padding is complete.
        case python
        /// Like `python`, but padding may be missing, as browsers' decoders allow.
        case unpadded
    }

    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    /// The value of each digit, 255 for any other byte.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, digit) in digits.enumerated() { values[Int(digit)] = UInt8(value) }
        return values
    }()

    package static func isDigit(_ byte: UInt8) -> Bool { values[Int(byte)] < 64 }

    /// Calls `body` with the encoded text, valid only during the call.
    package static func withEncoded<R>(_ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        unsafe withUnsafeTemporaryAllocation(byteCount: (bytes.count + 2) / 3 * 4, alignment: 4) { text in
            unsafe digits.withUnsafeBufferPointer { unsafe encode(bytes, by: $0, into: text) }
            return unsafe body(UnsafeRawBufferPointer(text))
        }
    }

    private static func encode(
        _ bytes: UnsafeRawBufferPointer, by digits: UnsafeBufferPointer<UInt8>,
        into text: UnsafeMutableRawBufferPointer
    ) {
        var position = 0
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group = unsafe Int(bytes[start]) << 16
            if count > 1 { unsafe group |= Int(bytes[start + 1]) << 8 }
            if count > 2 { unsafe group |= Int(bytes[start + 2]) }
            unsafe text[position] = unsafe digits[group >> 18]
            unsafe text[position + 1] = unsafe digits[group >> 12 & 63]
            unsafe text[position + 2] = unsafe count > 1 ? digits[group >> 6 & 63] : UInt8(ascii: "=")
            unsafe text[position + 3] = unsafe count > 2 ? digits[group & 63] : UInt8(ascii: "=")
            position += 4
        }
    }

    /// The bytes; nil if the text breaks the rules. A byte that isn't ASCII breaks all of them.
    package static func decode(_ text: Span<UInt8>, _ rules: Rules) -> [UInt8]? {
        unsafe text.withUnsafeBytes { unsafe decode($0, rules) }
    }

    private static func decode(_ text: UnsafeRawBufferPointer, _ rules: Rules) -> [UInt8]? {
        var bytes = unsafe [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3 + 3) { space, count in
            count = unsafe decodeGroups(text, into: space)
        }
        let rest = unsafe UnsafeRawBufferPointer(rebasing: text[(bytes.count / 3 * 4)...])
        if rules == .strict, unsafe !rest.isEmpty, unsafe !isLastGroup(rest) { return nil }
        return unsafe decodeRest(rest, to: &bytes, isPadded: rules != .unpadded) ? bytes : nil
    }

    /// Decodes the groups of four digits with which the text begins; returns the number of bytes.
    private static func decodeGroups(
        _ text: UnsafeRawBufferPointer, into space: UnsafeMutableBufferPointer<UInt8>
    ) -> Int {
        unsafe values.withUnsafeBufferPointer { values in
            var target = 0
            for start in stride(from: 0, to: text.count - 3, by: 4) {
                var group = 0
                var seen: UInt8 = 0
                for offset in start..<start + 4 {
                    let value = unsafe values[Int(text[offset])]
                    seen |= value
                    group = group << 6 | Int(value & 63)
                }
                if seen > 63 { break }
                unsafe space[target] = UInt8(truncatingIfNeeded: group >> 16)
                unsafe space[target + 1] = UInt8(truncatingIfNeeded: group >> 8)
                unsafe space[target + 2] = UInt8(truncatingIfNeeded: group)
                target += 3
            }
            return target
        }
    }

    /// True for two or three digits and their padding.
    private static func isLastGroup(_ text: UnsafeRawBufferPointer) -> Bool {
        unsafe text.count == 4 && isDigit(text[0]) && isDigit(text[1])
            && (isDigit(text[2]) || text[2] == UInt8(ascii: "=")) && text[3] == UInt8(ascii: "=")
    }

    /// Appends the bytes of a text that may hold padding and bytes to skip.
    private static func decodeRest(
        _ text: UnsafeRawBufferPointer, to bytes: inout [UInt8], isPadded: Bool
    ) -> Bool {
        var group: UInt32 = 0
        var (digits, padding) = (0, 0)
        for unsafe(index, byte) in unsafe text.enumerated() {
            if byte == UInt8(ascii: "=") {
                padding += 1
                // The last group is full: the rest isn't read, but must be ASCII.
                if digits >= 2, digits + padding >= 4 { return unsafe text[index...].allSatisfy { $0 < 0x80 } }
                continue
            }
            let value = values[Int(byte)]
            guard value < 64 else {
                if byte >= 0x80 { return false }
                continue
            }
            padding = 0
            group = group << 6 | UInt32(value)
            digits += 1
            // Each digit of a group but its first completes a byte.
            switch digits {
            case 2: bytes.append(UInt8(truncatingIfNeeded: group >> 4))
            case 3: bytes.append(UInt8(truncatingIfNeeded: group >> 2))
            case 4:
                bytes.append(UInt8(truncatingIfNeeded: group))
                digits = 0
            default: break
            }
        }
        return digits == 0 || digits > 1 && !isPadded
    }
}

extension JSONWriter {
    /// Appends bytes as base64, without quotes.
    package mutating func appendBase64(_ bytes: UnsafeRawBufferPointer) {
        unsafe Base64.withEncoded(bytes) { unsafe append(raw: $0) }
    }
}
