import ArgumentParser
import Bridge
import Bytes
import Glibc
import Logging
import NIOCore
import NIOPosix
import PubSubMessages
import RedisPubSub

/// The command line. Flags override the environment, and the environment overrides defaults.
@main
struct WSEmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ws-emit",
        abstract: "Pushes messages from any backend to browsers: Flask-SocketIO's Redis channel to Socket.IO clients.",
        usage: """
            ws-emit [<options>]
            ws-emit explain --room <name> [<options>]
            """,
        discussion: """
            ws-emit explain --room ROOM says why messages for a room don't arrive: ws-emit explain --help.

            Options can also be set in the environment: ADDRESS, ADMIN_ADDRESS, CORS, SECRET, REDIS,
            REDIS_PASSWORD_FILE, KEEP (one rule a line), RULES, FLASK_SECRET.

            Examples:
              ws-emit --cors http://localhost:7788
              ws-emit -a '[::]:8899' --cors https://shop.example
              ws-emit --redis redis://:password@db:6379/0
              ws-emit --redis 'rediss://db/0?ssl_ca_certs=/etc/ssl/redis-ca.pem'
              ws-emit --redis none --secret 123 --room-secret dir=MySecret
              ws-emit --keep 'shop:* event=price key=/sku keep=1h'
            """,
        version: "ws-emit \(Version.current)",
        subcommands: [ExplainCommand.self])

    /// Source of the numbers in the help.
    private static let defaults = BridgeConfiguration()

    @Option(
        "Address to listen on, host:port; IPv6 as [::1]:8899. (default: 0.0.0.0:8899)", value: "host:port",
        name: [.short, .long])
    var address: String?

    @Option(
        "Redis or Valkey: redis://[user:password@]host:port/db, rediss:// with TLS, unix:///path, redis+sentinel://host,host/db/service, redis+cluster://host,host, or none. (default: redis://localhost:6379/0)",
        value: "url")
    var redis: String?

    @Option(
        help: ArgumentHelp(
            "File whose first line is the password of the Redis URL. (default: $REDIS_PASSWORD_FILE)", valueName: "path"
        ),
        completion: .file())
    var redisPasswordFile: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Origins of pages that may connect, separated by spaces; * for any. (default: \(defaults.origins.joined(separator: " ")))",
            valueName: "origin"))
    var cors: [String] = []

    @Option("Secret for POST /emit. (default: none, /emit is off)", value: "text") var secret: String?

    @Option("Has no effect; accepted for old environment files.", value: "text") var flaskSecret: String?

    @Option(
        "Redis channel to listen on; repeatable, ws-emit publishes on the first. (default: \(defaults.redisChannels.joined(separator: " ")))",
        value: "name")
    var channel: [String] = []

    @Option(
        "Meaning of a list in the data of a JSON message: auto (depends on the sender's other messages), 5.14 (one argument) or 5.15.1 (the list of arguments).",
        value: "release")
    var dialect = PubSubMessageDecoder.ListConvention.learned

    @Option(
        "Format in which POST /emit is published for other servers: auto (the one they read), json or pickle.",
        value: "format")
    var publish = Publishing.auto

    @Option("Namespace that browsers may open; repeatable. (default: any)", value: "name") var namespace: [String] = []

    @Option("A room-space and its secret, with --redis none; repeatable.", value: "space=secret")
    var roomSecret: [String] = []

    @Option(
        "Rooms whose last messages are given to clients that join, as a rule with its options; repeatable: 'shop:*', 'shop:* event=price key=/sku keep=1h'. Rules of --rules follow. (default: $KEEP)",
        value: "rule")
    var keep: [String] = []

    @Option(
        help: ArgumentHelp(
            "File of rules by room, which say where messages are kept and how slow clients are treated: docs/rules.md. (default: $RULES)",
            valueName: "path"), completion: .file())
    var rules: String?

    @Option(
        "Memory for the kept messages of all rooms; beyond it, the least recently used go. 0 turns keeping off.",
        .bytes(\.keepBytes, in: 0...(1 << 40)))
    var keepBytes: NumberChange?

    @Option(
        "Time for which a message is kept, if neither it nor a rule has another.",
        .seconds(\.keepAge, in: BridgeLimits.keepAges))
    var keepAge: NumberChange?

    @Option(
        "Memory for the kept messages of a room, if no rule has another bound.",
        .bytes(\.keepRoomBytes, in: BridgeLimits.keepRoomBytes))
    var keepRoomBytes: NumberChange?

    @Option(
        "Kept messages of a room, if no rule has another bound.",
        .count(\.keepRoomValues, in: BridgeLimits.keepRoomValues))
    var keepRoomValues: NumberChange?

    @Option(
        "Time in which a client that was cut off may come back and get what it missed (Socket.IO's connection state recovery); or none.",
        .secondsOrNone(\.recovery))
    var recovery: NumberChange?

    @Option(
        "Memory for the messages that clients may have missed.",
        .bytes(\.recoveryBytes, in: 1...(1 << 40)))
    var recoveryBytes: NumberChange?

    @Option(
        "Memory for those of one room.",
        .bytes(\.recoveryRoomBytes, in: 1...(1 << 40)))
    var recoveryRoomBytes: NumberChange?

    @Option("Engine.IO path. (default: \(defaults.path))", value: "path") var path: String?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Event loops. (default: one per core)", valueName: "n"),
        transform: { try NumericSetting.whole($0, in: 1...SessionID.maximumLoops) })
    var threads: Int?

    @Option("Time between pings to a client.", .seconds(\.timing.pingInterval)) var pingInterval: NumberChange?
    @Option("Time for a client's pong.", .seconds(\.timing.pingTimeout)) var pingTimeout: NumberChange?
    @Option("Largest packet or POST of a client.", .bytes(\.maxPayload)) var maxPayload: NumberChange?

    @Option(
        "Memory for incomplete messages and bodies of all clients; beyond it, the oldest are closed.",
        .bytes(\.maxUnfinishedBytes, upTo: 1 << 40, default: "\(defaults.unfinishedLimit), or 16 of the largest"))
    var maxUnfinished: NumberChange?

    @Option("Largest body of POST /emit.", .bytes(\.maxEmitBodyBytes)) var maxEmitBody: NumberChange?

    @Option(
        "Data that may wait for one client before it is disconnected.",
        .bytes(\.maxQueuedBytes, default: "twice --max-message"))
    var maxQueue: NumberChange?

    @Option(
        "Time after which a client is disconnected if it reads nothing while more than 1 MiB waits for it.",
        .seconds(\.stallTimeout))
    var stallTimeout: NumberChange?

    @Option(
        "Rooms that one client may join; rooms that a backend enters it into count too.",
        .count(\.maxRoomsPerSocket, in: 0...10_000_000))
    var maxRooms: NumberChange?

    @Option("Namespaces that one client may open.", .count(\.maxNamespacesPerSession, in: 1...10_000))
    var maxNamespaces: NumberChange?

    @Option(
        "Acks that one client may owe; beyond it, the oldest is forgotten.",
        .count(\.maxPendingAcks, in: 1...1_000_000))
    var maxPendingAcks: NumberChange?

    @Option("Largest message on the Redis channel.", .bytes(\.maxMessageBytes)) var maxMessage: NumberChange?

    @Option("Messages and commands that may wait for Redis.", .bytes(\.maxRedisQueueBytes))
    var maxRedisQueue: NumberChange?

    @Option("Largest secret of a room-space in Redis.", .bytes(\.maxSecretBytes)) var maxSecret: NumberChange?

    @Option(
        "Open connections.",
        .count(
            \.maxConnections, in: 1...10_000_000,
            default: "as many as the limit on file descriptors allows; the log has the number"))
    var maxConnections: NumberChange?

    @Option("Time for a client to open a namespace.", .seconds(\.timing.connectTimeout))
    var connectTimeout: NumberChange?

    @Option("Time for a websocket to upgrade a session.", .seconds(\.timing.upgradeTimeout))
    var upgradeTimeout: NumberChange?

    @Option("Time for the head of a connection's first request.", .seconds(\.headTimeout))
    var headTimeout: NumberChange?

    @Option("Time for the body of a request.", .seconds(\.bodyTimeout)) var bodyTimeout: NumberChange?
    @Option("Time a kept-alive connection may be idle.", .seconds(\.idleTimeout)) var idleTimeout: NumberChange?

    @Option(
        "Separate address for /livez, /readyz, /metrics and explain, host:port; explain tries 127.0.0.1:8898 first. (default: the public address, see docs/operating.md)",
        value: "host:port")
    var adminAddress: String?

    @Option(
        "Time between canaries, the messages to itself through Redis that /readyz relies on; or none.",
        .secondsOrNone(\.canaryInterval))
    var canaryInterval: NumberChange?

    @Option("Time without a returned canary after which /readyz responds 503.", .seconds(\.canaryLimit))
    var canaryLimit: NumberChange?

    @Option("Gaps in the subscription to remember.", .count(\.maxGaps, in: 1...10_000)) var maxGaps: NumberChange?
    @Option("Senders to keep statistics of.", .count(\.maxSenders, in: 1...1_000_000)) var maxSenders: NumberChange?

    @Flag(name: .shortAndLong, help: "Log what clients do.")
    var verbose = false

    /// The numbers given on the command line.
    var changes: [NumberChange] {
        Mirror(reflecting: self).children.compactMap { ($0.value as? Option<NumberChange?>)?.wrappedValue }
    }

    /// A wrong option ends with one sentence and code 64; only `--help` prints the usage.
    ///
    /// ArgumentParser would take the options of `explain` for the server's options of the same names, so `explain` is
    /// recognised here.
    static func main() async {
        do {
            var command = try parse(Array(CommandLine.arguments.dropFirst()))
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let error as SettingsError {
            error.sentences.forEach(printError)
            Glibc.exit(error.exitCode)
        } catch {
            let code = exitCode(for: error)
            guard code != .success, !(error is ExitCode) else { exit(withError: error) }
            printError(message(for: error))
            Glibc.exit(code.rawValue)
        }
    }

    private static func parse(_ arguments: [String]) throws -> any ParsableCommand {
        guard let first = arguments.first, !first.hasPrefix("-"), first != "help" else {
            let command = try parseAsRoot(arguments)
            guard command is ExplainCommand else { return command }
            throw ValidationError("explain comes first: ws-emit explain --room ROOM")
        }
        let rest = Array(arguments.dropFirst())
        guard first == "explain" else {
            var similar = SimilarNames(to: ByteString(first))
            _ = similar.compare("explain")
            let hint = similar.found.isEmpty ? "options begin with -, see ws-emit --help" : "did you mean explain?"
            throw ValidationError("\(first) is not a command of ws-emit; \(hint)")
        }
        // This usage line has the program's name, which ExplainCommand alone doesn't know.
        if rest.contains("--help") || rest.contains("-h") {
            throw CleanExit.message(helpMessage(for: ExplainCommand.self))
        }
        return try ExplainCommand.parseAsRoot(rest)
    }

    func run() async throws {
        try await Service(settings: try Settings(self, environment: Environment())).run()
    }
}

/// One line on standard error.
func printError(_ sentence: String) {
    StandardError.printError(sentence)
}
