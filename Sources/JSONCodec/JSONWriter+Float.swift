extension JSONWriter {
    /// Appends a float as Python's `repr` prints it: the shortest digits that read back the same, `1.0`, `-0.0`, an
    /// exponent below 1e-4 and from 1e16 on, with a sign and at least two digits (`1e-05`, `1e+16`).
    ///
    /// NaN and the infinities become `null`: JSON has no word for them, and the bare tokens that Python writes make
    /// the stock JavaScript client disconnect.
    package mutating func appendFloat(_ value: Double) {
        guard value.isFinite else { return append("null") }
        // Whole numbers, the commonest case, need no search for the shortest digits.
        if value.magnitude < 1e15, value == value.rounded(.towardZero) {
            if value.sign == .minus { append(UInt8(ascii: "-")) }
            appendInteger(UInt64(value.magnitude))
            return append(".0")
        }
        var text = FloatText()
        value.write(to: &text)
        // Swift writes whole numbers up to 2^54 without an exponent, Python only those below 1e16. Elsewhere both agree.
        if value.magnitude >= 1e16, value.magnitude <= 0x1p54 {
            return appendWithExponent16(text)
        }
        for index in 0..<text.count { append(text.bytes[index]) }
    }

    /// Rewrites seventeen digits and `.0` with the point after the first digit and the exponent 16.
    private mutating func appendWithExponent16(_ text: borrowing FloatText) {
        var index = 0
        if text.bytes[0] == UInt8(ascii: "-") {
            append(UInt8(ascii: "-"))
            index = 1
        }
        let first = index
        var end = first
        while end < text.count, text.bytes[end] != UInt8(ascii: ".") { end &+= 1 }
        while end > first &+ 1, text.bytes[end &- 1] == UInt8(ascii: "0") { end &-= 1 }
        append(text.bytes[first])
        if end > first &+ 1 { append(UInt8(ascii: ".")) }
        for position in first &+ 1..<max(end, first &+ 1) { append(text.bytes[position]) }
        append("e+16")
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
