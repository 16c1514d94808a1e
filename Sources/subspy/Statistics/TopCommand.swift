import ArgumentParser
import Bytes
import NIOCore
import PubSubMessages
import RedisPubSub

/// Shows who uses the channel, as a table that is kept up to date.
struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Shows who and what uses the channel: rates, sizes, formats and gaps, live.",
        discussion: """
            On a terminal the table is redrawn every second. Keys: q quits; m, b, a, x, t, l, g and n sort by messages/s, \
            bytes/s, average size, maximum size, total, last seen, gap and name. Elsewhere, and with --once or --count, each \
            table is printed below the one before.

            FORMAT is the format of the messages: pickle and its protocol (python-socketio up to 5.13), or JSON of 5.14.0 \
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

    @Option(help: .init("Meaning of a row: room, event, sender (its host id) or namespace.", valueName: "key"))
    var by = Grouping.room

    @Option(
        help: ArgumentHelp(
            "Order: messages or bytes (per second), average, maximum, total, last, gap, name.", valueName: "column"))
    var sort = TrafficOrder.messages

    @Option(
        help: ArgumentHelp("Time between two tables. (default: \(Defaults.tableInterval)s)", valueName: "time"),
        transform: TimeSpan.parse)
    var every: Duration = .seconds(Defaults.tableInterval)

    @Option(help: .init("Print this many tables, then stop.", valueName: "n"))
    var count: Int?

    @Flag(help: "Print one table, then stop.")
    var once = false

    @Option(help: .init("Most rows that are kept; all others are added up as (others).", valueName: "n"))
    var maxRows = Defaults.tableRows

    @Option(help: .init("auto (on a terminal, unless NO_COLOR is set), always or never.", valueName: "when"))
    var color = Palette.Choice.auto

    /// The meaning of a row.
    enum Grouping: String, CaseIterable, ExpressibleByArgument { case room, event, sender, namespace }

    /// Tables to print; nil for no end.
    var tableCount: Int? { once ? 1 : count }

    /// True when the table is redrawn in place.
    var isLive: Bool { tableCount == nil && Terminal.isCapable && Terminal.size != nil }

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count must be at least 1") }
        if once, count != nil { throw ValidationError("--once does not go with --count") }
        if maxRows < 1 { throw ValidationError("--max-rows must be at least 1") }
        if every < .milliseconds(Limits.leastTableMilliseconds) {
            throw ValidationError("--every must be at least \(Limits.leastTableMilliseconds)ms")
        }
    }

    func run() throws {
        let url = try connection.url(channel: source.channels.first)
        try connection.run(url, isQuiet: isLive) { TopSession(run: $0.run, options: self).start($0) }
    }
}

extension TrafficOrder: ExpressibleByArgument {}

/// Counts messages and shows the table again and again.
final class TopSession: PubSubDelegate {
    private let run: RunLoop
    private let options: TopCommand
    private let filter: MessageFilter
    private let grouping: TopCommand.Grouping
    private let output: LineOutput
    private var screen: TopScreen?
    private var table: TrafficTable
    private var counts = TrafficCounts()
    private var order: TrafficOrder
    private var printedTables = 0

    init(run: RunLoop, options: TopCommand) {
        self.run = run
        self.options = options
        filter = MessageFilter(options.filter)
        output = LineOutput(run)
        grouping = options.by
        order = options.sort
        table = TrafficTable(capacity: options.maxRows, at: run.eventLoop.now)
    }

    func start(_ session: RedisSession) {
        if options.isLive {
            let screen = TopScreen(run)
            self.screen = screen
            screen.pressed = { [self] key in press(key) }
            screen.resized = { [self] in draw() }
            screen.open()
            draw()
            tick()
        } else {
            output.watchReader()
        }
        session.whenConnected { [self] in
            session.listen(channels: options.source.channels, patterns: options.source.pattern, delegate: self)
        }
    }

    // MARK: PubSubDelegate

    func received(_ payload: Span<UInt8>, on redisChannel: Span<UInt8>) {
        guard run.exitCode == nil,
            let inspection = unsafe payload.withUnsafeBytes({ unsafe filter.inspect($0) }), filter.isSampled()
        else { return }
        let (now, size, format) = (run.eventLoop.now, payload.count, inspection.wireFormat)
        counts.count(inspection, bytes: size)
        if case .undecodable = inspection.format { return table.count(.undecodable, bytes: size, format, at: now) }
        let summary = inspection.summary
        switch grouping {
        case .room:
            if summary.rooms.isEmpty { table.count(.unnamed, bytes: size, format, at: now) }
            for room in summary.rooms { table.count(.named(room), bytes: size, format, at: now) }
        case .event: count(summary.event)
        case .sender: count(summary.hostID)
        case .namespace: count(summary.namespace)
        }
        func count(_ name: ByteString?) {
            table.count(name.map { .named($0) } ?? .unnamed, bytes: size, format, at: now)
        }
    }

    func receivedBatch() {}

    func subscriptionChanged(_ state: SubscriptionState) {
        let now = run.eventLoop.now
        if counts.subscriptionChanged(state, at: now) {
            table.refresh(at: now)
            if screen == nil { tick() }
        }
        if screen != nil { draw() }
    }

    // MARK: Showing

    private func tick() {
        run.after(options.every) { [self] in
            let now = run.eventLoop.now
            table.refresh(at: now)
            counts.refresh(at: now)
            draw()
            printedTables += 1
            if printedTables == options.tableCount { return run.end(0) }
            tick()
        }
    }

    private func press(_ key: Character) {
        if key == "q" || key == "Q" { return run.end(0) }
        guard let chosen = TrafficOrder.allCases.first(where: { $0.letter == key }) else { return }
        order = chosen
        draw()
    }

    private func draw() {
        let size = screen == nil ? nil : Terminal.size
        let palette = Palette(options.color)
        let frame = TopFrame(
            palette: palette, grouping: grouping, order: order, columns: size?.columns ?? Terminal.columns)
        let now = run.eventLoop.now
        var writer = JSONWriter(capacity: 8192)
        frame.appendHeading(counts, at: now, isLive: screen != nil, to: &writer)
        // Three lines are above the rows, and one below.
        let room = size.map { max($0.rows - 5, 0) } ?? Int.max
        frame.append(table, rows: room, at: now, to: &writer)
        if let screen {
            unsafe writer.withUnsafeBytes { unsafe screen.show($0) }
        } else {
            writer.append(0x0A)
            unsafe writer.withUnsafeBytes { unsafe output.append(spelled: $0) }
            output.flush()
        }
    }
}
