import ArgumentParser
import Glibc

/// How messages are shown.
struct OutputOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            python: the repr, a line each; pretty: for people; json: a JSON object a line, for jq; table: aligned \
            columns. (default: pretty on a terminal, else python)
            """,
            valueName: "format"))
    var output: OutputFormat?

    @Option(
        help: ArgumentHelp(
            "A format of your own, as in '%T %e %r %d\\n'; see below.", valueName: "format"),
        transform: LineFormat.init(argument:))
    var format: LineFormat?

    @Flag(exclusivity: .exclusive) var payload: PayloadFormat?

    @Option(
        help: ArgumentHelp(
            "iso (UTC), epoch (seconds), relative (seconds since the start), delta (since the message before).",
            valueName: "format"))
    var timestamps: TimeFormat?

    @Option(
        help: ArgumentHelp(
            "Show at most this many characters of each message, then …; with json, of each text in it.",
            valueName: "n"))
    var truncate: Int?

    @Option(
        help: ArgumentHelp(
            "Show *** for the values of this key, wherever it stands (glob or /regex/); repeatable.", valueName: "key"),
        transform: Redaction.Key.init(argument:))
    var redact: [Redaction.Key] = []

    @Option(help: .init("auto (on a terminal, unless NO_COLOR is set), always or never.", valueName: "when"))
    var color = Palette.Choice.auto

    func validate() throws {
        if let payload {
            if output != nil { throw ValidationError("--\(payload.rawValue) does not go with --output") }
            if format != nil { throw ValidationError("--\(payload.rawValue) does not go with --format") }
            if !redact.isEmpty, payload != .audit {
                throw ValidationError(
                    "--\(payload.rawValue) does not go with --redact: the payload's own bytes would show the values")
            }
        }
        if output != nil, format != nil { throw ValidationError("--output does not go with --format") }
        if payload == .raw {
            if timestamps != nil { throw ValidationError("--raw prints nothing but payloads: no --timestamps") }
            if truncate != nil { throw ValidationError("--raw prints whole payloads: no --truncate") }
            if isatty(STDOUT_FILENO) == 1 {
                throw ValidationError("--raw on a terminal could make it do anything; use --hex, or pipe it to xxd")
            }
        }
        if let truncate, truncate < 1 { throw ValidationError("--truncate must be at least 1") }
    }

    /// The mode for this standard output.
    var mode: OutputMode {
        if let payload { return .payload(payload) }
        if let format { return .format(format) }
        return .value(output ?? (isatty(STDOUT_FILENO) == 1 ? .pretty : .python))
    }
}

/// The formats of `--output`.
enum OutputFormat: String, CaseIterable, ExpressibleByArgument { case python, pretty, json, table }

/// The text that is printed for a message.
enum OutputMode {
    case value(OutputFormat)
    case format(LineFormat)
    case payload(PayloadFormat)
}

/// The payload itself instead of what it holds.
enum PayloadFormat: String, EnumerableFlag {
    /// Its bytes as they are.
    case raw
    /// Its bytes as hexadecimal digits.
    case hex
    /// Its opcodes.
    case opcodes
    /// The names that executing it would import and call.
    case audit

    static func help(for value: PayloadFormat) -> ArgumentHelp? {
        switch value {
        case .raw: "The payload's bytes as they are, a line feed after each; nothing else is printed."
        case .hex: "The payload's bytes as one line of hexadecimal digits; nothing else is printed."
        case .opcodes: "The opcodes of a pickle, as pickletools.dis prints them, an empty line after each message."
        case .audit: "The names that executing a pickle would import and call, one line for each message."
        }
    }
}
