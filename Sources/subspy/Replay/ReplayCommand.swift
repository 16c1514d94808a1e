import ArgumentParser
import Bytes
import Glibc
import RedisPubSub

/// Publishes a recording again.
struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Publishes a recording, in its own time or faster.",
        discussion: """
            Each message's exact bytes go to the channel they came from, unless an option rewrites them. A message that
            can't be rewritten is left out, with a warning. A Redis on another machine needs --yes: real clients
            may be listening there.

            Examples:
              subspy replay monday.jsonl
              subspy replay monday.jsonl --speed 10x --max-gap 1s --from 5m --to 10m
              subspy replay monday.jsonl --speed max --channel test
              subspy replay monday.jsonl --to-http http://127.0.0.1:7788/emit --secret-file secret
              subspy replay monday.jsonl --map-room orders=test --new-host-id --as json
              subspy replay hour.jsonl.gz --room 'order-*' --dry-run
            """)

    @Argument(help: "The recording, or - for standard input.", completion: .file())
    var file: String

    @OptionGroup var connection: ConnectionOptions

    @Option(help: .init("Redis channel for all messages. (default: each message's own)", valueName: "name"))
    var channel: String?

    @Option(
        help: ArgumentHelp("How fast: 2x, 0.5x, or max.", valueName: "factor"),
        completion: .list(["0.5x", "2x", "10x", "max"]), transform: ReplaySpeed.init(argument:))
    var speed = ReplaySpeed.factor(1)

    @Option(
        help: ArgumentHelp(
            "Evenly this many messages a second instead of the recorded times: 100/s.", valueName: "rate"),
        transform: ReplaySpeed.rate)
    var rate: Double?

    @Option(time: "Longest pause between two messages.")
    var maxGap: Duration?

    @Flag(help: "Start over at the end, until interrupted or --limit is reached.")
    var loop = false

    @Option(time: "Skip what was recorded before this time after the start: 90s, 5m.")
    var from: Duration?

    @Option(time: "Stop before this time after the start.")
    var to: Duration?

    @Option(help: .init("Stop after this many published messages.", valueName: "n"))
    var limit: Int?

    @OptionGroup(title: "Filters") var filter: FilterOptions

    @OptionGroup(title: "Rewriting") var rewriting: RewriteOptions

    @Flag(help: "Print what would be published, and when, and publish nothing.")
    var dryRun = false

    @Option(
        help: ArgumentHelp(
            "Post the emits to a ws-emit instead: http://host:port/emit. The secret is $SECRET or in --secret-file.",
            valueName: "url"))
    var toHttp: String?

    @Option(help: .init("File whose first line is the secret of /emit.", valueName: "path"), completion: .file())
    var secretFile: String?

    @Flag(help: "Publish on another machine.")
    var yes = false

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1") }
        if channel == "" { throw ValidationError("--channel must not be empty") }
        if loop, file == "-" { throw ValidationError("--loop needs a file: standard input can be read once only") }
        if loop, dryRun, limit == nil { throw ValidationError("--loop with --dry-run needs --limit") }
        if rate != nil, case .maximum = speed { throw ValidationError("--rate does not go with --speed max") }
        if secretFile != nil, toHttp == nil { throw ValidationError("--secret-file goes with --to-http") }
        if channel != nil, toHttp != nil { throw ValidationError("--channel does not go with --to-http") }
        _ = try httpTarget()
        if let from, let to, from >= to { throw ValidationError("--to must be later than --from") }
    }

    private func httpTarget() throws -> HTTPTarget? {
        guard let toHttp else { return nil }
        do { return try HTTPTarget(toHttp) } catch { throw ValidationError("--to-http: \(error)") }
    }

    /// The secret of `/emit`.
    private func secret() throws -> ByteString {
        guard let secretFile else {
            let secret = unsafe getenv("SECRET").map { unsafe String(cString: $0) } ?? ""
            guard !secret.isEmpty else {
                throw ValidationError("--to-http needs the secret of /emit: set SECRET or name a --secret-file")
            }
            return ByteString(secret)
        }
        guard let content = InputFile.read(secretFile) else {
            throw ValidationError("--secret-file: \(secretFile) can't be read: \(SystemError.last)")
        }
        let secret = ByteString(bytes: content.prefix { $0 != 0x0A && $0 != 0x0D })
        guard !secret.isEmpty else {
            throw ValidationError("--secret-file: \(secretFile) has no secret in its first line")
        }
        return secret
    }

    func run() throws {
        let url = try connection.url(channel: channel)
        let toHttp = try httpTarget()
        guard yes || dryRun || toHttp?.isOnThisMachine ?? url.isOnThisMachine else {
            let target = toHttp.map { "\($0)" } ?? "\(url)"
            throw CommandFailure(64, "\(target) is another machine: add --yes to publish there")
        }
        let secret = try toHttp.map { _ in try self.secret() }
        let entries: ReplayEntries
        do { entries = try ReplayEntries(options: self) } catch { throw CommandFailure(66, "\(error)") }
        if dryRun {
            // Without waiting: the times are printed.
            let pace = ReplayPace(speed: .maximum, rate: nil)
            try RunLoop.untilEnd { Replayer(run: $0, entries: entries, pace: pace, sink: DryRunSink($0)).start() }
            return
        }
        let pace = ReplayPace(speed: speed, rate: rate)
        if let toHttp, let secret {
            try RunLoop.untilEnd { run in
                let sink = HTTPReplaySink(run: run, target: toHttp, secret: secret, isPatient: !connection.noWait)
                Replayer(run: run, entries: entries, pace: pace, sink: sink).start()
            }
        } else {
            try connection.run(url) { session in
                let sink = RedisReplaySink(session: session)
                Replayer(run: session.run, entries: entries, pace: pace, sink: sink).start()
            }
        }
    }
}

/// The speed of a replay.
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
    /// True when the address as it is written certainly is this machine's.
    var isOnThisMachine: Bool {
        switch endpoint {
        case .unixSocket: true
        case .tcp(let host, _): LoopbackHost.isCertain(host)
        }
    }
}
