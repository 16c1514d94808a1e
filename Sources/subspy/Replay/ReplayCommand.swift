import ArgumentParser
import Glibc
import RedisPubSub

/// Publishes a recording again.
struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Publishes a recording, in its own time or faster.",
        discussion: """
            Each message's exact bytes go to the channel they came from, unless they are to be rewritten; what can't be
            rewritten as asked is left out, with a warning. A Redis on another machine takes --yes: real clients
            may be listening there.

            Examples:
              subspy replay monday.jsonl
              subspy replay monday.jsonl --speed 10x --max-gap 1s --from 5m --to 10m
              subspy replay monday.jsonl --speed max --channel test
              subspy replay monday.jsonl --map-room orders=test --new-host-id --as json
              gunzip -c hour.jsonl.gz | subspy replay - --room 'order-*' --dry-run
            """)

    @Argument(help: "The recording, or - for standard input.")
    var file: String

    @OptionGroup var connection: ConnectionOptions

    @Option(help: ArgumentHelp("Redis channel for all messages. (default: each message's own)", valueName: "name"))
    var channel: String?

    @Option(
        help: ArgumentHelp("How fast: 2x, 0.5x, or max.", valueName: "factor"), transform: ReplaySpeed.init(argument:))
    var speed = ReplaySpeed.factor(1)

    @Option(
        help: ArgumentHelp(
            "So many messages a second, evenly, instead of the recorded times: 100/s.", valueName: "rate"),
        transform: ReplaySpeed.rate)
    var rate: Double?

    @Option(help: ArgumentHelp("Longest pause between two messages.", valueName: "time"), transform: TimeSpan.parse)
    var maxGap: Duration?

    @Flag(help: "Start over at the end, until interrupted or --limit is reached.")
    var loop = false

    @Option(
        help: ArgumentHelp("Skip what was recorded before this time after the start: 90s, 5m.", valueName: "time"),
        transform: TimeSpan.parse)
    var from: Duration?

    @Option(help: ArgumentHelp("Stop before this time after the start.", valueName: "time"), transform: TimeSpan.parse)
    var to: Duration?

    @Option(help: ArgumentHelp("Stop after this many published messages.", valueName: "n"))
    var limit: Int?

    @OptionGroup(title: "Filters") var filter: FilterOptions

    @OptionGroup(title: "Rewriting") var rewriting: RewriteOptions

    @Flag(help: "Print what would be published, and when, and publish nothing.")
    var dryRun = false

    @Flag(help: "Publish on another machine's Redis.")
    var yes = false

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1") }
        if channel == "" { throw ValidationError("--channel must not be empty") }
        if loop, file == "-" { throw ValidationError("--loop needs a file: standard input can be read once only") }
        if loop, dryRun, limit == nil { throw ValidationError("--loop with --dry-run needs --limit") }
        if rate != nil, case .maximum = speed { throw ValidationError("--rate does not go with --speed max") }
        if let from, let to, from >= to { throw ValidationError("--to must be later than --from") }
    }

    func run() throws {
        let url = try connection.url()
        guard yes || dryRun || url.isOnThisMachine else {
            StandardError.say("\(url) is another machine: add --yes to publish there")
            throw ExitCode(64)
        }
        let entries: ReplayEntries
        do {
            entries = try ReplayEntries(options: self)
        } catch {
            StandardError.say("\(error)")
            throw ExitCode(66)
        }
        let code = Run.untilEnd { run in
            if dryRun {
                ReplayRehearsal(run: run, entries: entries).start()
            } else {
                let session = RedisSession(run: run, url: url, isPatient: !connection.noWait, logger: connection.logger)
                Replayer(session: session, entries: entries, speed: speed, rate: rate).run()
            }
        }
        if code != 0 { throw ExitCode(code) }
    }
}

/// How fast a recording is replayed.
enum ReplaySpeed {
    case factor(Double)
    case maximum

    init(argument: String) throws {
        if argument == "max" {
            self = .maximum
            return
        }
        guard let factor = Double(argument.hasSuffix("x") ? argument.dropLast() : argument[...]), factor > 0,
            factor.isFinite
        else {
            throw ValidationError("write a factor, as in 2x or 0.5x, or max")
        }
        self = .factor(factor)
    }

    /// Messages a second.
    static func rate(_ argument: String) throws -> Double {
        let digits = argument.hasSuffix("/s") ? argument.dropLast(2) : argument[...]
        guard let rate = Double(digits), rate > 0, rate.isFinite else {
            throw ValidationError("write messages a second, as in 100/s")
        }
        return rate
    }
}

extension RedisURL {
    /// Whether the server is certainly on this machine, by the address as it is written.
    var isOnThisMachine: Bool {
        switch endpoint {
        case .unixSocket: true
        case .tcp(let host, _): host == "localhost" || host == "::1" || host.hasPrefix("127.")
        }
    }
}
