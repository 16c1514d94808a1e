extension JSONWriter {
    /// Appends a float as Python's `repr` prints it: the shortest digits that read back the same, `1.0`, `-0.0`, an
    /// exponent below 1e-4 and from 1e16 on, with a sign and at least two digits (`1e-05`, `1e+16`).
    ///
    /// NaN and the infinities become `null`: JSON has no word for them, and the bare tokens that Python writes make
    /// the stock JavaScript client disconnect.
    package mutating func appendFloat(_ value: Double) {
        guard value.isFinite else { return append("null") }
        // Whole numbers below 1e16 are exact in decimal; Swift changes to an exponent already at 2^53. They are also the
        // commonest floats and need no search for the shortest digits.
        if value.magnitude < 1e16, value == value.rounded(.towardZero) {
            if value.sign == .minus { append(UInt8(ascii: "-")) }
            appendInteger(UInt64(value.magnitude))
            return append(".0")
        }
        if appendShortDecimal(value) { return }
        var text = FloatText()
        value.write(to: &text)
        for index in 0..<text.count { append(text.bytes[index]) }
    }
}

extension JSONWriter {
    /// Appends a fraction of few decimals, as prices, percentages and times are; false if it is none.
    ///
    /// Exact: no two decimals of at most 15 digits are the same double, so one that reads back as the value is the
    /// shortest but for its trailing zeros. Dividing integers below 2^53 by a power of ten is how it would be read.
    private mutating func appendShortDecimal(_ value: Double) -> Bool {
        let magnitude = value.magnitude
        guard magnitude >= 1e-4, magnitude < 1e12 else { return false }
        let isSmall = magnitude < 1e9
        let scale: Double = isSmall ? 1e6 : 1e3
        let scaled = (magnitude * scale).rounded()
        guard scaled < 1e15, scaled / scale == magnitude else { return false }
        let number = UInt64(scaled)
        let divisor: UInt64 = isSmall ? 1_000_000 : 1000
        let whole = number / divisor
        var rest = number % divisor
        var decimals = isSmall ? 6 : 3
        while decimals > 1, rest % 10 == 0 {
            rest /= 10
            decimals &-= 1
        }
        if value.sign == .minus { append(UInt8(ascii: "-")) }
        appendInteger(whole)
        append(UInt8(ascii: "."))
        appendDigits(rest, minimumCount: decimals)
        return true
    }
}

/// Takes a number's digits without a `String` on the heap: the standard library hands ASCII to `_writeASCII` when a
/// stream has it, and to `write` otherwise.
private struct FloatText: TextOutputStream {
    var bytes = InlineArray<32, UInt8>(repeating: 0)
    var count = 0

    mutating func _writeASCII(_ buffer: UnsafeBufferPointer<UInt8>) {
        for byte in buffer { put(byte) }
    }

    mutating func write(_ string: String) {
        for byte in string.utf8 { put(byte) }
    }

    private mutating func put(_ byte: UInt8) {
        // The longest double takes 24 characters.
        guard count < 32 else { return }
        bytes[count] = byte
        count &+= 1
    }
}
