import ArgumentParser

/// What uses the channel, as a table that keeps itself up to date.
struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Shows who and what uses the channel: rates, sizes, dialects and gaps, live.",
        discussion: """
            On a terminal the table is redrawn every second. Keys: q quits; m, b, a, x, t, l, g and n sort by messages/s, \
            bytes/s, average size, maximum size, total, last seen, gap and name. Elsewhere, and with --once or --count, each \
            table is printed below the one before.

            FORM is how the messages were written: pickle and its protocol (python-socketio up to 5.13), or JSON of 5.14.0 \
            (and hand-written JSON), 5.14.2 (to 5.15.0) or 5.15.1 and later. LAST is the time since the last message, GAP \
            the longest time without one. A message to several rooms counts in each of them.

            Examples:
              subspy top
              subspy top --by sender --sort bytes
              subspy top --by event --room 'time*' --once --every 10
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var source: ChannelOptions
    @OptionGroup(title: "Filters") var filter: FilterOptions

    @Option(help: ArgumentHelp("What a row is: room, event, sender (its host id) or namespace.", valueName: "key"))
    var by = Grouping.room

    @Option(
        help: ArgumentHelp(
            "Order: messages or bytes (per second), average, maximum, total, last, gap, name.", valueName: "column"))
    var sort = TrafficOrder.messages

    @Option(help: ArgumentHelp("Time between two tables. (default: 1s)", valueName: "time"), transform: TimeSpan.parse)
    var every: Duration = .seconds(1)

    @Option(help: ArgumentHelp("Print this many tables, then stop.", valueName: "n"))
    var count: Int?

    @Flag(help: "Print one table, then stop.")
    var once = false

    @Option(
        help: ArgumentHelp(
            "Most rows that are kept; what comes beyond is added up as (others).",
            valueName: "n"))
    var maxRows = 1000

    @Option(help: ArgumentHelp("auto (on a terminal, unless NO_COLOR is set), always or never.", valueName: "when"))
    var color = Palette.Choice.auto

    /// What rows are.
    enum Grouping: String, CaseIterable, ExpressibleByArgument { case room, event, sender, namespace }

    /// Tables to print; nil for no end.
    var tableCount: Int? { once ? 1 : count }

    /// Whether the table is redrawn in its place.
    var isLive: Bool { tableCount == nil && Terminal.isCapable && Terminal.size != nil }

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count must be at least 1") }
        if once, count != nil { throw ValidationError("--once does not go with --count") }
        if maxRows < 1 { throw ValidationError("--max-rows must be at least 1") }
        if every < .milliseconds(100) { throw ValidationError("--every must be at least 100ms") }
    }

    func run() throws {
        let url = try connection.url(channel: source.channels.first)
        // On a live screen the heading says how Redis is.
        var logger = connection.logger
        if isLive { logger.logLevel = .critical }
        let code = Run.untilEnd { run in
            let session = RedisSession(run: run, url: url, isPatient: !connection.noWait, logger: logger)
            Top(run: run, options: self).start(session)
        }
        if code != 0 { throw ExitCode(code) }
    }
}

extension TrafficOrder: ExpressibleByArgument {}
