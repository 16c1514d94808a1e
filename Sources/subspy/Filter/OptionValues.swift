import ArgumentParser

extension Option {
    /// A repeatable option that takes patterns.
    init(wrappedValue: [TextPattern], pattern help: String, completion: CompletionKind? = nil)
    where Value == [TextPattern] {
        self.init(
            wrappedValue: wrappedValue, help: ArgumentHelp(help, valueName: "pattern"), completion: completion,
            transform: TextPattern.init(argument:))
    }

    /// An option that takes a time.
    init(time help: String) where Value == Duration? {
        self.init(help: ArgumentHelp(help, valueName: "time"), transform: TimeSpan.parse)
    }

    /// An option that takes a number of bytes.
    init(bytes help: String) where Value == Int? {
        self.init(help: ArgumentHelp(help, valueName: "bytes"), transform: ByteCount.parse)
    }
}

/// Times as people write them.
enum TimeSpan {
    static func parse(_ text: String) throws -> Duration {
        let units: [(suffix: String, seconds: Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)]
        let unit = units.first { text.hasSuffix($0.suffix) }
        guard let number = Double(text.dropLast(unit?.suffix.count ?? 0)), number > 0 else {
            throw ValidationError("write a time, as in 500ms, 10s, 2m or 1h")
        }
        let seconds = number * (unit?.seconds ?? 1)
        guard seconds <= Limits.timeSeconds else { throw ValidationError("that is too long") }
        return .nanoseconds(Int64(seconds * 1e9))
    }
}

/// Sizes as people write them.
enum ByteCount {
    static func parse(_ text: String) throws -> Int {
        var digits = text[...]
        var shift = 0
        for (suffix, bits) in [("k", 10), ("K", 10), ("M", 20), ("G", 30)] where digits.hasSuffix(suffix) {
            digits = digits.dropLast()
            shift = bits
        }
        guard let number = Int(digits), number >= 0, number <= Int.max >> shift else {
            throw ValidationError("write a number of bytes, as in 200, 1k or 2M")
        }
        return number << shift
    }
}

/// A share of all, from 0 to 1.
enum Share {
    static func parse(_ text: String) throws -> Double {
        let isPercentage = text.hasSuffix("%")
        guard let number = Double(isPercentage ? text.dropLast() : text[...]), number >= 0,
            number <= (isPercentage ? 100 : 1)
        else { throw ValidationError("write a share, as in 1% or 0.01") }
        return isPercentage ? number / 100 : number
    }
}
