#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension JSONScanner {
    /// A number: `-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?`.
    mutating func scanNumber(index node: UInt32) throws(JSONError) -> JSONTapeNode {
        let start = index
        if unsafe text[index] == UInt8(ascii: "-") { index &+= 1 }
        let firstDigit = index
        let integerDigits = skipDigits()
        guard integerDigits > 0 else { throw unexpected(.digit) }
        if unsafe text[firstDigit] == UInt8(ascii: "0") { index = firstDigit &+ 1 }
        let next = peek()
        guard next == UInt8(ascii: ".") || next | 0x20 == UInt8(ascii: "e") else {
            return try integer(from: start, firstDigit: firstDigit, node: node)
        }
        var isPlain = true
        let fractionStart = index &+ 1
        if next == UInt8(ascii: ".") {
            index &+= 1
            guard skipDigits() > 0 else { throw unexpected(.digit) }
        }
        let fractionEnd = index
        if peek() | 0x20 == UInt8(ascii: "e") {
            isPlain = false
            index &+= 1
            if peek() == UInt8(ascii: "-") || peek() == UInt8(ascii: "+") { index &+= 1 }
            guard skipDigits() > 0 else { throw unexpected(.digit) }
        }
        // Up to 15 digits without an exponent or trailing zeros are the shortest spelling already, so they are copied.
        // A whole part of zero might need an exponent; those are rare enough to be printed anew.
        let lastDigit = unsafe text[fractionEnd &- 1]
        isPlain =
            unsafe isPlain && fractionEnd &- firstDigit <= 16
            && (lastDigit != UInt8(ascii: "0") || fractionEnd &- fractionStart == 1)
            && (text[firstDigit] != UInt8(ascii: "0") || fractionEnd &- fractionStart <= 3)
        return makeNode(
            .float, isPlain ? [.isCanonical] : [], link: node &+ 1, from: start, length: index &- start)
    }

    private func integer(from start: Int, firstDigit: Int, node: UInt32) throws(JSONError) -> JSONTapeNode {
        let length = index &- start
        guard length <= maximumIntegerCharacters else {
            throw JSONError(.integerTooLong(characters: length, limit: maximumIntegerCharacters), at: start)
        }
        let isNegativeZero = unsafe start != firstDigit && text[firstDigit] == UInt8(ascii: "0")
        return makeNode(
            .integer, isNegativeZero ? [] : [.isCanonical], link: node &+ 1, from: start, length: length)
    }

    private mutating func skipDigits() -> Int {
        let start = index
        while unsafe text.count &- index >= 8,
            unsafe Self.areDigits(text.loadUnaligned(fromByteOffset: index, as: UInt64.self))
        {
            index &+= 8
        }
        while unsafe index < text.count, unsafe text[index] &- UInt8(ascii: "0") < 10 { index &+= 1 }
        return index &- start
    }

    /// True if eight bytes are digits: 0x30 to 0x39, to which 6 can be added without leaving 0x3X.
    @inline(__always) private static func areDigits(_ word: UInt64) -> Bool {
        let high: UInt64 = 0xF0F0_F0F0_F0F0_F0F0
        return word & high == 0x3030_3030_3030_3030 && (word &+ 0x0606_0606_0606_0606) & high == 0x3030_3030_3030_3030
    }
}

extension Int64 {
    /// A decimal integer as the scanner passed it, nil if it doesn't fit.
    init?(decimal text: UnsafeRawBufferPointer) {
        let isNegative = unsafe text.first == UInt8(ascii: "-")
        var value: Int64 = 0
        for index in (isNegative ? 1 : 0)..<text.count {
            let digit = unsafe Int64(text[index] &- UInt8(ascii: "0"))
            let (product, first) = value.multipliedReportingOverflow(by: 10)
            let (sum, second) = product.addingReportingOverflow(isNegative ? -digit : digit)
            if first || second { return nil }
            value = sum
        }
        self = value
    }
}

extension Double {
    /// A number as the scanner passed it, correctly rounded.
    init(json text: UnsafeRawBufferPointer) {
        if let exact = unsafe Double(shortJSON: text) {
            self = exact
        } else {
            self = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: text.count + 1) { copy in
                for index in text.indices { unsafe copy[index] = unsafe CChar(bitPattern: text[index]) }
                unsafe copy[text.count] = 0
                // Reads NaN and Infinity too. The process never calls setlocale, so the point is a point.
                return unsafe copy.baseAddress.map { unsafe strtod($0, nil) } ?? .nan
            }
        }
    }

    /// A mantissa below 2^53 times or divided by a power of ten up to 22: both are exact, so one operation rounds right.
    private init?(shortJSON text: UnsafeRawBufferPointer) {
        var mantissa: UInt64 = 0
        var digits = 0
        var scale = 0
        var isFraction = false
        for index in text.indices {
            let byte = unsafe text[index]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                mantissa = mantissa &* 10 &+ UInt64(byte &- UInt8(ascii: "0"))
                digits &+= 1
                if isFraction { scale &+= 1 }
            case UInt8(ascii: "."): isFraction = true
            case UInt8(ascii: "-") where digits == 0: continue
            default: return nil
            }
        }
        guard digits <= 18, digits > 0, mantissa < 1 << 53 else { return nil }
        var power = 1.0
        for _ in 0..<scale { power *= 10 }
        let magnitude = Double(mantissa) / power
        self = unsafe text.first == UInt8(ascii: "-") ? -magnitude : magnitude
    }
}
