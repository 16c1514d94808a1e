extension JSONWriter {
    /// Appends an integer in decimal.
    public mutating func appendInteger(_ value: Int64) {
        if value < 0 { append(UInt8(ascii: "-")) }
        appendInteger(value.magnitude)
    }

    /// Appends an integer in decimal.
    public mutating func appendInteger(_ value: UInt64) {
        if value < 10 { return append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value)) }
        appendDigits(value, minimumCount: 2)
    }

    /// Appends the lowest digits of a number in lower-case hexadecimal.
    package mutating func appendHexadecimal(_ value: UInt32, digits: Int) {
        for index in (0..<digits).reversed() {
            let digit = UInt8(truncatingIfNeeded: value >> UInt32(index * 4) & 0xF)
            append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }

    /// Appends an integer of any size, given as little-endian two's complement (pickle's LONG1, LONG4). Empty is 0.
    ///
    /// Takes time quadratic in the length: the caller bounds it.
    public mutating func appendDecimal(twosComplement bytes: UnsafeRawBufferPointer) {
        let isNegative = unsafe (bytes.last ?? 0) & 0x80 != 0
        var limbs = unsafe magnitudeLimbs(bytes, isNegative: isNegative)
        if isNegative { append(UInt8(ascii: "-")) }
        // Base 10^19 is the largest power of ten in a word: one division pass yields 19 digits.
        let base: UInt64 = 10_000_000_000_000_000_000
        var groups: [UInt64] = []
        while !limbs.isEmpty {
            var remainder: UInt64 = 0
            for index in limbs.indices.reversed() {
                (limbs[index], remainder) = base.dividingFullWidth((remainder, limbs[index]))
            }
            while limbs.last == 0 { limbs.removeLast() }
            groups.append(remainder)
        }
        appendDigits(groups.popLast() ?? 0, minimumCount: 1)
        for group in groups.reversed() { appendDigits(group, minimumCount: 19) }
    }

    private mutating func appendDigits(_ value: UInt64, minimumCount: Int) {
        var digits = 1
        var bound: UInt64 = 10
        while digits < 20, value >= bound {
            digits &+= 1
            if digits < 20 { bound &*= 10 }
        }
        appendDigits(value, count: max(digits, minimumCount))
    }

    /// Appends a number of at most so many digits, at most 20, with zeros before it.
    mutating func appendDigits(_ value: UInt64, count: Int) {
        reserve(20)
        var digits = count
        var rest = value
        var place = unsafe end + digits
        buffer.used &+= digits
        // Two digits with each division.
        while digits >= 2 {
            let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
            unsafe place -= 2
            digits &-= 2
            let tens = (UInt16(truncatingIfNeeded: pair) &* 103) >> 10
            let ones = UInt16(truncatingIfNeeded: pair) &- tens &* 10
            unsafe place.storeBytes(of: ((ones << 8 | tens) &+ 0x3030).littleEndian, as: UInt16.self)
            rest = quotient
        }
        if digits == 1 {
            unsafe (place - 1).storeBytes(of: UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest), as: UInt8.self)
        }
    }
}

/// The magnitude as 64-bit limbs, lowest first, without leading zeros.
private func magnitudeLimbs(_ bytes: UnsafeRawBufferPointer, isNegative: Bool) -> [UInt64] {
    var limbs: [UInt64] = []
    limbs.reserveCapacity(bytes.count / 8 + 1)
    var carry = isNegative
    for start in stride(from: 0, to: bytes.count, by: 8) {
        var limb: UInt64 = isNegative ? .max : 0
        for index in start..<min(start + 8, bytes.count) {
            let shift = UInt64(index - start) * 8
            limb = unsafe limb & ~(0xFF << shift) | UInt64(bytes[index]) << shift
        }
        if isNegative {
            // Negation is complement plus one; the one travels while the complement overflows.
            let (sum, overflow) = (~limb).addingReportingOverflow(carry ? 1 : 0)
            limb = sum
            carry = overflow
        }
        limbs.append(limb)
    }
    // The magnitude of the lowest value of a width that is a multiple of 64 still fits: 0x80... negated is itself.
    while limbs.last == 0 { limbs.removeLast() }
    return limbs
}

extension JSONWriter {
    /// Appends a float as Python's `repr` prints it: the shortest digits that read back the same, `1.0`, `-0.0`, an
    /// exponent below 1e-4 and from 1e16 on, with a sign and at least two digits (`1e-05`, `1e+16`).
    ///
    /// NaN and the infinities become `null`: JSON has no word for them, and the bare tokens that Python writes make
    /// the stock JavaScript client disconnect.
    public mutating func appendFloat(_ value: Double) {
        guard value.isFinite else { return append("null") }
        if appendShortDecimal(value) { return }
        // Whole numbers below 1e16 are exact in decimal; Swift changes to an exponent already at 2^53.
        if value.magnitude < 1e16, value == value.rounded(.towardZero) {
            if value.sign == .minus { append(UInt8(ascii: "-")) }
            appendInteger(UInt64(value.magnitude))
            return append(".0")
        }
        reserve(FloatText.capacity)
        var text = unsafe FloatText(target: end)
        value.write(to: &text)
        buffer.used &+= text.count
    }

    /// Appends a number of few decimals, as prices, percentages and times are; false if it is none.
    ///
    /// Exact: no two decimals of at most 15 digits are the same double, so one that reads back as the value is the
    /// shortest, except for its trailing zeros. A reader would also divide integers below 2^53 by a power of ten.
    private mutating func appendShortDecimal(_ value: Double) -> Bool {
        guard value.magnitude >= 1e-4 else { return false }
        // Few decimals are the commonest.
        return value.magnitude < 1e12 && append(value, decimals: 3, scale: 1000)
            || value.magnitude < 1e9 && append(value, decimals: 6, scale: 1_000_000)
    }

    /// Appends a number with so many decimals or fewer, at least one; false if it has more.
    @inline(__always) private mutating func append(_ value: Double, decimals: Int, scale: UInt64) -> Bool {
        // Rounding is by truncation of half more: a wrong guess reads back differently.
        let scaled = UInt64(value.magnitude * Double(scale) + 0.5)
        guard Double(scaled) / Double(scale) == value.magnitude else { return false }
        if value.sign == .minus { append(UInt8(ascii: "-")) }
        appendInteger(scaled / scale)
        append(UInt8(ascii: "."))
        var fraction = UInt32(truncatingIfNeeded: scaled % scale)
        var digits = decimals
        while digits > 1, fraction % 10 == 0 {
            fraction /= 10
            digits &-= 1
        }
        appendDigits(UInt64(fraction), count: digits)
        return true
    }
}

/// Takes a number's digits without a `String` on the heap: the standard library hands ASCII to `_writeASCII` when a
/// stream has it, and to `write` otherwise.
@safe private struct FloatText: TextOutputStream {
    /// The longest double takes 24 characters.
    static let capacity = 32
    /// Memory with room for that many.
    let target: UnsafeMutableRawPointer
    var count = 0

    mutating func _writeASCII(_ buffer: UnsafeBufferPointer<UInt8>) {
        unsafe put(UnsafeRawBufferPointer(buffer))
    }

    mutating func write(_ string: String) {
        var string = string
        string.withUTF8 { unsafe put(UnsafeRawBufferPointer($0)) }
    }

    private mutating func put(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, count + bytes.count <= Self.capacity else { return }
        unsafe (target + count).copyMemory(from: source, byteCount: bytes.count)
        count &+= bytes.count
    }
}

extension UInt8 {
    /// The value of a hexadecimal digit in ASCII, of either case; nil for another character.
    package var hexadecimalValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self &- UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self &- UInt8(ascii: "A") &+ 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self &- UInt8(ascii: "a") &+ 10
        default: nil
        }
    }
}
