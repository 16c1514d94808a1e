import Bytes

/// An integer as Python's `int()` and C's `strtol` read text: white space around it, a sign, `_` between digits.
struct PythonInteger {
    /// 2, 8, 10 or 16.
    let radix: UInt64
    let isNegative: Bool
    /// ASCII digits without leading zeros; none for 0.
    let digits: [UInt8]

    /// nil if the text is no integer.
    ///
    /// - Parameters:
    ///   - radix: 10, or 0 to obey the prefix (`0x`, `0o`, `0b`).
    ///   - isOctal: with `radix` 0: a leading 0 means octal, as for `strtol`. Otherwise only zero may have one, as in Python.
    init?(_ line: UnsafeRawBufferPointer, radix: Int, isOctal: Bool = false) {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || 0x09...0x0d ~= byte }
        // C's readers stop at a NUL.
        var text = unsafe line.prefix { $0 != 0 }.drop(while: isSpace)
        while let last = unsafe text.last, isSpace(last) { unsafe text.removeLast() }
        let isWhole = unsafe text.endIndex == line.endIndex
        isNegative = unsafe text.first == 0x2d
        if unsafe isNegative || text.first == 0x2b { unsafe text.removeFirst() }
        var base: UInt64 = 10
        if radix == 0, unsafe text.first == 0x30, let letter = unsafe text.dropFirst().first {
            switch letter | 0x20 {
            case 0x78: base = 16
            case 0x6f: base = 8
            case 0x62: base = 2
            default: break
            }
            if base != 10 {
                unsafe text.removeFirst(2)
                if unsafe text.first == 0x5f { unsafe text.removeFirst() }
            }
        }
        var digits: [UInt8] = []
        var hasZeros = false
        var isAfterDigit = false
        var hasUnderscores = false
        while let byte = unsafe text.popFirst() {
            if byte == 0x5f, isAfterDigit {
                isAfterDigit = false
                hasUnderscores = true
                continue
            }
            guard let value = byte.hexadecimalValue, value < base else { return nil }
            isAfterDigit = true
            if digits.isEmpty, value == 0 { hasZeros = true } else { digits.append(byte) }
        }
        guard isAfterDigit else { return nil }
        if radix == 0, base == 10, hasZeros, !digits.isEmpty {
            // 21 octal digits are 63 bits. `strtol` overflows on more, and Python then refuses the leading zero.
            guard isOctal, isWhole, !hasUnderscores, digits.count <= 21, digits.allSatisfy({ $0 < 0x38 }) else {
                return nil
            }
            base = 8
        }
        self.radix = base
        self.digits = digits
    }

    /// The number without its sign; nil beyond 64 bits.
    var magnitude: UInt64? { digits.isEmpty ? 0 : UInt64(String(decoding: digits, as: UTF8.self), radix: Int(radix)) }
}
