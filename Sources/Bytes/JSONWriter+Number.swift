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

    /// Appends an integer of any size, given as little-endian two's complement (pickle's LONG1, LONG4). Empty is 0.
    ///
    /// Takes time quadratic in the length: the caller bounds it.
    public mutating func appendDecimal(twosComplement bytes: UnsafeRawBufferPointer) {
        let isNegative = (bytes.last ?? 0) & 0x80 != 0
        var limbs = magnitudeLimbs(bytes, isNegative: isNegative)
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
        var place = storage + (used &+ digits)
        used &+= digits
        // Two digits with each division.
        while digits >= 2 {
            let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
            place -= 2
            digits &-= 2
            let tens = (UInt16(truncatingIfNeeded: pair) &* 103) >> 10
            let ones = UInt16(truncatingIfNeeded: pair) &- tens &* 10
            place.storeBytes(of: ((ones << 8 | tens) &+ 0x3030).littleEndian, as: UInt16.self)
            rest = quotient
        }
        if digits == 1 {
            (place - 1).storeBytes(of: UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest), as: UInt8.self)
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
            limb = limb & ~(0xFF << shift) | UInt64(bytes[index]) << shift
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
