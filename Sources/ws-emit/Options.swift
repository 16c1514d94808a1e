import ArgumentParser
import Bridge

/// Sets the number of an option.
typealias NumberChange = @Sendable (inout BridgeConfiguration) -> Void

/// A setting whose option takes a number: its unit, its default for the help, its range, and its place in the configuration.
struct NumericSetting {
    typealias Path<Value> = WritableKeyPath<BridgeConfiguration, Value> & Sendable

    let unit: String
    let defaultText: String
    let change: @Sendable (String) throws -> NumberChange

    private static let defaults = BridgeConfiguration()
    /// The range of most times.
    private static let ordinaryTimes = Duration.milliseconds(50)...Duration.seconds(86_400)

    static func seconds(_ path: Path<Duration>, in range: ClosedRange<Duration> = ordinaryTimes) -> Self {
        Self(unit: "seconds", defaultText: text(defaults[keyPath: path])) { text in
            let value = try duration(text, in: range)
            return { $0[keyPath: path] = value }
        }
    }

    static func secondsOrNone(_ path: Path<Duration?>) -> Self {
        Self(unit: "seconds", defaultText: defaults[keyPath: path].map(text) ?? "none") { text in
            let value = text == "none" ? nil : try duration(text)
            return { $0[keyPath: path] = value }
        }
    }

    static func bytes(_ path: Path<Int>, in range: ClosedRange<Int> = 1...(1 << 30)) -> Self {
        number("bytes", path, in: range)
    }

    /// - Parameter defaultText: the default depends on other settings.
    static func bytes(_ path: Path<Int?>, upTo limit: Int = 1 << 30, default defaultText: String) -> Self {
        Self(unit: "bytes", defaultText: defaultText) { text in
            let value = try whole(text, in: 1...limit)
            return { $0[keyPath: path] = value }
        }
    }

    static func count(_ path: Path<Int>, in range: ClosedRange<Int>, default defaultText: String? = nil) -> Self {
        number("n", path, in: range, default: defaultText)
    }

    private static func number(
        _ unit: String, _ path: Path<Int>, in range: ClosedRange<Int>, default defaultText: String? = nil
    ) -> Self {
        Self(unit: unit, defaultText: defaultText ?? "\(defaults[keyPath: path])") { text in
            let value = try whole(text, in: range)
            return { $0[keyPath: path] = value }
        }
    }

    private static func text(_ duration: Duration) -> String { "\(duration.components.seconds)" }

    @Sendable
    static func whole(_ text: String, in range: ClosedRange<Int>) throws -> Int {
        guard let value = Int(text), range.contains(value) else {
            throw ValidationError("it is not a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    @Sendable
    private static func duration(_ text: String, in range: ClosedRange<Duration> = ordinaryTimes) throws -> Duration {
        guard let value = Double(text), value >= range.lowerBound / .seconds(1), value <= range.upperBound / .seconds(1)
        else {
            throw ValidationError(
                "it is not a number of seconds from \(range.lowerBound / .seconds(1)) to \(Self.text(range.upperBound))"
            )
        }
        return .milliseconds(Int64((value * 1000).rounded()))
    }
}

extension Option where Value == NumberChange? {
    /// The next word is the number even if it begins with a minus, so that the error is about the number.
    init(_ help: String, _ setting: NumericSetting) {
        self.init(
            parsing: .unconditional,
            help: ArgumentHelp("\(help) (default: \(setting.defaultText))", valueName: setting.unit),
            transform: setting.change)
    }
}

extension Option where Value == String? {
    init(_ help: String, value: String, name: NameSpecification = .long) {
        self.init(name: name, help: ArgumentHelp(help, valueName: value))
    }
}

extension Option where Value: ExpressibleByArgument {
    init(_ help: String, value: String) { self.init(help: ArgumentHelp(help, valueName: value)) }

    init(wrappedValue: Value, _ help: String, value: String) {
        self.init(wrappedValue: wrappedValue, help: ArgumentHelp(help, valueName: value))
    }
}

extension Option where Value == [String] {
    /// The option takes one value and may be repeated.
    init(wrappedValue: [String], _ help: String, value: String) {
        self.init(wrappedValue: wrappedValue, parsing: .singleValue, help: ArgumentHelp(help, valueName: value))
    }
}
