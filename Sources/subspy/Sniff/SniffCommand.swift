import ArgumentParser

/// Prints the channel; the default command.
struct SniffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sniff",
        abstract: "Prints the messages on the channel (the default).",
        discussion: """
            Each message is one line: Python's repr of what it holds, whether it came as a pickle or as JSON. Nothing in a \
            pickle is ever executed. First comes the list of channels with subscribers, then one line for each \
            subscription. On a terminal the default is --output pretty.

            --event, --room and the like take a glob (room-*) or a regular expression between slashes (/^room-[0-9]+$/); \
            given several times, any of them is enough, and each --not-… excludes.

            Fields of --format:
            \(LineFormat.help)

            Exit codes: 0 when the event of --until or the number of --count was reached, or without them at the end; 1 when \
            the run ended before (--duration, --idle), 130 when it was interrupted; 69 without Redis and with --no-wait.

            Examples:
              subspy --event update --room 'time' --count 10
              subspy --output json --redact password | jq .message.data
              subspy --format '%T %e %r %d\\n' --timestamps delta
              subspy --until ready --duration 30s && echo ready
              subspy --stats 10 --output json > messages.jsonl
              subspy --raw --count 1 > message && python3 -m pickletools message
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var source: ChannelOptions
    @OptionGroup(title: "Filters") var filter: FilterOptions
    @OptionGroup(title: "Stopping") var stopping: StopOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    @Option(
        help: ArgumentHelp(
            "Print rates and totals to standard error this often, and a summary at the end.", valueName: "time"),
        transform: TimeSpan.parse)
    var stats: Duration?

    func run() throws {
        let url = try connection.url(channel: source.channels.first)
        try connection.run(url) { Sniffer(session: $0, options: self).start() }
    }
}

/// The channels to listen to.
struct ChannelOptions: ParsableArguments {
    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Redis channel; repeatable. (default: \(Defaults.redisChannel))", valueName: "name"))
    var channel: [String] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Glob of Redis channels, in Redis's own syntax; repeatable.", valueName: "glob"))
    var pattern: [String] = []

    var channels: [String] { channel.isEmpty && pattern.isEmpty ? [Defaults.redisChannel] : channel }

    func validate() throws {
        guard !channel.contains("") else { throw ValidationError("--channel must not be empty") }
        guard !pattern.contains("") else { throw ValidationError("--pattern must not be empty") }
    }
}
