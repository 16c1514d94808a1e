import ArgumentParser

/// What `subspy` does without a subcommand: print the channel.
struct SniffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sniff",
        abstract: "Prints what passes on the channel (the default).",
        discussion: """
            Each message is one line: Python's repr of what it holds, whether it came as a pickle or as JSON. Nothing in a
            pickle is ever executed. First comes the list of channels that somebody listens to, then one line for each
            subscription.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var source: ChannelOptions

    func run() throws {
        let url = try connection.url()
        let code = Run.untilEnd { run in
            let session = RedisSession(
                run: run, url: url, isPatient: !connection.noWait, logger: connection.logger)
            let sniffer = Sniffer(
                run: run, session: session, channels: source.channels, patterns: source.pattern)
            sniffer.start()
        }
        if code != 0 { throw ExitCode(code) }
    }
}

/// What to listen to.
struct ChannelOptions: ParsableArguments {
    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Redis channel; repeatable. (default: flask-socketio)", valueName: "name"))
    var channel: [String] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Glob of Redis channels, in Redis's own syntax; repeatable.", valueName: "glob"))
    var pattern: [String] = []

    var channels: [String] { channel.isEmpty && pattern.isEmpty ? ["flask-socketio"] : channel }

    func validate() throws {
        guard !channel.contains("") else { throw ValidationError("--channel must not be empty") }
        guard !pattern.contains("") else { throw ValidationError("--pattern must not be empty") }
    }
}
