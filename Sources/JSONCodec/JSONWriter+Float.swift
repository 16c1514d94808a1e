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
        var text = FloatText()
        value.write(to: &text)
        for index in 0..<text.count { append(text.bytes[index]) }
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
