extension Duration {
    /// A time as people write it: a number of seconds, or one with the unit `ms`, `s`, `m`, `h` or `d`. Nil for other texts, and beyond
    /// a hundred years, so that it can be counted in nanoseconds.
    package init?(text: String) {
        let units: [(suffix: String, seconds: Double)] = [
            ("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400),
        ]
        let unit = units.first { text.hasSuffix($0.suffix) }
        let digits = text.dropLast(unit?.suffix.count ?? 0)
        // `Double` also reads `inf`, `nan`, `0x10`, `1e3` and signs.
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }),
            let number = Double(digits)
        else { return nil }
        let seconds = number * (unit?.seconds ?? 1)
        guard seconds <= 100 * 366 * 86_400 else { return nil }
        self = .nanoseconds(Int64((seconds * 1e9).rounded()))
    }
}

extension Int {
    /// A size as people write it: a number of bytes, or one with the unit `K`, `M` or `G`, powers of 1024. Nil for other texts.
    package init?(byteCount text: String) {
        let units: [(suffix: String, bits: Int)] = [("k", 10), ("K", 10), ("M", 20), ("G", 30)]
        let unit = units.first { text.hasSuffix($0.suffix) }
        let bits = unit?.bits ?? 0
        let digits = text.dropLast(unit?.suffix.count ?? 0)
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits),
            number <= Int.max >> bits
        else { return nil }
        self = number << bits
    }
}
