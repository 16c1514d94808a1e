import ArgumentParser
import Bridge
import Bytes
import Glibc
import Logging
import NIOCore
import NIOPosix
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
            REDIS_PASSWORD_FILE, FLASK_SECRET.

            Examples:
              ws-emit --cors http://localhost:7788
              ws-emit -a '[::]:8899' --cors https://shop.example
              ws-emit --redis redis://:password@db:6379/0
              ws-emit --redis 'rediss://db/0?ssl_ca_certs=/etc/ssl/redis-ca.pem'
              ws-emit --redis none --secret 123 --room-secret dir=MySecret
            """,
        version: "ws-emit \(Version.current)",
        subcommands: [ExplainCommand.self])

    /// Source of the numbers in the help.
    private static let defaults = BridgeConfiguration()

    @Option(
        name: [.short, .long],
        help: ArgumentHelp(
            "Address to listen on, host:port; IPv6 as [::1]:8899. (default: 0.0.0.0:8899)", valueName: "host:port"))
    var address: String?

    @Option(
        help: ArgumentHelp(
            "Redis or Valkey: redis://[user:password@]host:port/db, rediss:// with TLS, unix:///path, redis+sentinel://host,host/db/service, redis+cluster://host,host, or none. (default: redis://localhost:6379/0)",
            valueName: "url"))
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

    @Option(help: ArgumentHelp("Secret for POST /emit. (default: none, /emit is off)", valueName: "text"))
    var secret: String?

    @Option(help: ArgumentHelp("Has no effect; accepted for old environment files.", valueName: "text"))
    var flaskSecret: String?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Redis channel to listen on; repeatable, ws-emit publishes on the first. (default: \(defaults.redisChannels.joined(separator: " ")))",
            valueName: "name"))
    var channel: [String] = []

    @Option(
        help: ArgumentHelp(
            "Meaning of a list in the data of a JSON message: auto (depends on the sender's other messages), 5.14 (one argument) or 5.15.1 (the list of arguments). (default: auto)",
            valueName: "release"))
    var dialect: String?

    @Option(
        help: ArgumentHelp(
            "Format in which POST /emit is published for other servers: auto (the one they read), json or pickle. (default: auto)",
            valueName: "format"))
    var publish: String?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Namespace that browsers may open; repeatable. (default: any)", valueName: "name"))
    var namespace: [String] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("A room-space and its secret, with --redis none; repeatable.", valueName: "space=secret"))
    var roomSecret: [String] = []

    @Option(help: ArgumentHelp("Engine.IO path. (default: \(defaults.path))", valueName: "path"))
    var path: String?

    @Option(help: ArgumentHelp("Event loops. (default: one per core)", valueName: "n"))
    var threads: String?

    @Option(help: .seconds("Time between pings to a client.", defaults.timing.pingInterval))
    var pingInterval: String?

    @Option(help: .seconds("Time for a client's pong.", defaults.timing.pingTimeout))
    var pingTimeout: String?

    @Option(help: .bytes("Largest packet or POST of a client.", defaults.maxPayload))
    var maxPayload: String?

    @Option(
        help: ArgumentHelp(
            "Memory for incomplete messages and bodies of all clients; beyond it, the oldest are closed. (default: \(defaults.unfinishedLimit), or 16 of the largest)",
            valueName: "bytes"))
    var maxUnfinished: String?

    @Option(help: .bytes("Largest body of POST /emit.", defaults.maxEmitBodyBytes))
    var maxEmitBody: String?

    @Option(
        help: ArgumentHelp(
            "Data that may wait for one client before it is disconnected. (default: twice --max-message)",
            valueName: "bytes"))
    var maxQueue: String?

    @Option(
        help: .seconds(
            "Time after which a client is disconnected if it reads nothing while more than 1 MiB waits for it.",
            defaults.stallTimeout))
    var stallTimeout: String?

    @Option(
        help: .count(
            "Rooms that one client may join; rooms that a backend enters it into count too.",
            defaults.maxRoomsPerSocket))
    var maxRooms: String?

    @Option(help: .count("Namespaces that one client may open.", defaults.maxNamespacesPerSession))
    var maxNamespaces: String?

    @Option(help: .count("Acks that one client may owe; beyond it, the oldest is forgotten.", defaults.maxPendingAcks))
    var maxPendingAcks: String?

    @Option(help: .bytes("Largest message on the Redis channel.", defaults.maxMessageBytes))
    var maxMessage: String?

    @Option(help: .bytes("Messages and commands that may wait for Redis.", defaults.maxRedisQueueBytes))
    var maxRedisQueue: String?

    @Option(help: .bytes("Largest secret of a room-space in Redis.", defaults.maxSecretBytes))
    var maxSecret: String?

    @Option(
        help: ArgumentHelp(
            "Open connections. (default: as many as the limit on file descriptors allows; the log has the number)",
            valueName: "n"))
    var maxConnections: String?

    @Option(help: .seconds("Time for a client to open a namespace.", defaults.timing.connectTimeout))
    var connectTimeout: String?

    @Option(help: .seconds("Time for a websocket to upgrade a session.", defaults.timing.upgradeTimeout))
    var upgradeTimeout: String?

    @Option(help: .seconds("Time for the head of a connection's first request.", defaults.headTimeout))
    var headTimeout: String?

    @Option(help: .seconds("Time for the body of a request.", defaults.bodyTimeout))
    var bodyTimeout: String?

    @Option(help: .seconds("Time a kept-alive connection may be idle.", defaults.idleTimeout))
    var idleTimeout: String?

    @Option(
        help: ArgumentHelp(
            "Separate address for /livez, /readyz, /metrics and explain, host:port; explain tries 127.0.0.1:8898 first. (default: the public address, see docs/operating.md)",
            valueName: "host:port"))
    var adminAddress: String?

    @Option(
        help: .seconds(
            "Time between canaries, the messages to itself through Redis that /readyz relies on; or none.",
            defaults.canaryInterval))
    var canaryInterval: String?

    @Option(
        help: .seconds(
            "Time without a returned canary after which /readyz responds 503.", defaults.canaryLimit))
    var canaryLimit: String?

    @Option(help: .count("Gaps in the subscription to remember.", defaults.maxGaps))
    var maxGaps: String?

    @Option(help: .count("Senders to keep statistics of.", defaults.maxSenders))
    var maxSenders: String?

    @Flag(name: .shortAndLong, help: "Log what clients do.")
    var verbose = false

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
        let settings: Settings
        do throws(SettingsError) {
            settings = try Settings(self, environment: Environment())
        } catch {
            printError("\(error)")
            throw ExitCode(error.exitCode)
        }
        try await Service(settings: settings).run()
    }
}

/// One line on standard error.
func printError(_ sentence: String) {
    StandardError.printError(sentence)
}

/// Help of an option with a number; its unit is the name of its value.
extension ArgumentHelp {
    fileprivate static func seconds(_ text: String, _ duration: Duration?) -> ArgumentHelp {
        ArgumentHelp(
            "\(text) (default: \(duration.map { "\($0.components.seconds)" } ?? "none"))", valueName: "seconds")
    }

    fileprivate static func bytes(_ text: String, _ count: Int) -> ArgumentHelp {
        ArgumentHelp("\(text) (default: \(count))", valueName: "bytes")
    }

    fileprivate static func count(_ text: String, _ count: Int) -> ArgumentHelp {
        ArgumentHelp("\(text) (default: \(count))", valueName: "n")
    }
}
