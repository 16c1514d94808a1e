import ArgumentParser

/// The options that end a run.
struct StopOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Stop after this many printed messages.", valueName: "n"))
    var count: Int?

    @Option(
        help: ArgumentHelp("Stop after this time: 500ms, 10s, 2m, 1h, or seconds.", valueName: "time"),
        transform: TimeSpan.parse)
    var duration: Duration?

    @Option(
        help: ArgumentHelp("Stop when nothing has been printed for this long.", valueName: "time"),
        transform: TimeSpan.parse)
    var idle: Duration?

    @Option(
        help: ArgumentHelp("Stop after printing a message with this event (glob or /regex/).", valueName: "event"),
        transform: TextPattern.init(argument:))
    var until: TextPattern?

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count must be at least 1") }
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
