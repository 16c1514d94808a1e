import ArgumentParser
import Bytes

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
        guard let time = Duration(text: text), time > .zero else {
            throw ValidationError("write a time up to 100 years, as in 500ms, 10s, 2m or 1h")
        }
        return time
    }
}

/// Sizes as people write them.
enum ByteCount {
    static func parse(_ text: String) throws -> Int {
        guard let count = Int(byteCount: text) else {
            throw ValidationError("write a number of bytes, as in 200, 1k or 2M")
        }
        return count
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
