import ArgumentParser
import Bridge
import Glibc
import JSONCodec
import Logging
import NIOCore
import NIOPosix
import RedisPubSub

/// The command line; flags win over the environment, the environment over defaults.
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

    @Option(name: [.short, .long], help: "Where to listen, host:port; IPv6 as [::1]:8899. (default: 0.0.0.0:8899)")
    var address: String?

    @Option(
        help:
            "Redis or Valkey: redis://[user:password@]host:port/db, rediss:// with TLS, unix:///path, redis+sentinel://host,host/db/service, redis+cluster://host,host, or none. (default: redis://localhost:6379/0)"
    )
    var redis: String?

    @Option(help: "File whose first line is the password of the Redis URL. (default: $REDIS_PASSWORD_FILE)")
    var redisPasswordFile: String?

    @Option(
        parsing: .upToNextOption,
        help:
            "Origins of pages that may connect, several or one text with spaces; * for any. (default: http://localhost:7788)"
    )
    var cors: [String] = []

    @Option(help: "Secret for emitting by POST /emit. (default: none, /emit is off)")
    var secret: String?

    @Option(help: "Accepted for old environment files; has no effect.")
    var flaskSecret: String?

    @Option(
        parsing: .singleValue,
        help: "Redis channel to listen on; repeatable, the first one is published to. (default: flask-socketio)")
    var channel: [String] = []

    @Option(
        help:
            "How a list in the data of a JSON message is read: auto (as its sender has shown), 5.14 (one argument) or 5.15.1 (the list of arguments). (default: auto)"
    )
    var dialect: String?

    @Option(
        help:
            "How POST /emit is published for other servers: auto (as those on the channel read it), json or pickle. (default: auto)"
    )
    var publish: String?

    @Option(parsing: .singleValue, help: "Namespace that browsers may open; repeatable. (default: any)")
    var namespace: [String] = []

    @Option(parsing: .singleValue, help: "space=secret of a room-space, with --redis none; repeatable.")
    var roomSecret: [String] = []

    @Option(help: "Engine.IO path. (default: /socket.io/)")
    var path: String?

    @Option(help: "Event loops. (default: one per core)")
    var threads: String?

    @Option(help: "Seconds between pings to a client. (default: 25)")
    var pingInterval: String?

    @Option(help: "Seconds a client may take to answer a ping. (default: 20)")
    var pingTimeout: String?

    @Option(help: "Largest packet or POST of a client, in bytes. (default: 1000000)")
    var maxPayload: String?

    @Option(help: "Largest body of POST /emit, in bytes. (default: 1000000)")
    var maxEmitBody: String?

    @Option(help: "Bytes that may wait for one client before it is disconnected. (default: 1048576)")
    var maxQueue: String?

    @Option(help: "Rooms one client may join. (default: 1024)")
    var maxRooms: String?

    @Option(help: "Namespaces one client may open. (default: 64)")
    var maxNamespaces: String?

    @Option(help: "Acks one client may owe; the oldest is forgotten beyond. (default: 256)")
    var maxPendingAcks: String?

    @Option(help: "Largest message on the Redis channel, in bytes. (default: 16777216)")
    var maxMessage: String?

    @Option(help: "Open connections. (default: what the limit on file descriptors allows)")
    var maxConnections: String?

    @Option(help: "Seconds a client may stay without any namespace. (default: 45)")
    var connectTimeout: String?

    @Option(help: "Seconds a websocket may take to upgrade a session. (default: 10)")
    var upgradeTimeout: String?

    @Option(help: "Seconds the head of a connection's first request may take. (default: 10)")
    var headTimeout: String?

    @Option(help: "Seconds the body of a request may take. (default: 30)")
    var bodyTimeout: String?

    @Option(help: "Seconds a kept-alive connection may be idle. (default: 75)")
    var idleTimeout: String?

    @Option(
        help:
            "A listener of its own, host:port, for /livez, /readyz, /metrics and explain; 127.0.0.1:8898 is where explain asks first. (default: the public one, see docs/operating.md)"
    )
    var adminAddress: String?

    @Option(help: "Seconds between messages to ourselves through Redis, which /readyz relies on; or none. (default: 5)")
    var canaryInterval: String?

    @Option(help: "Seconds without such a message coming back after which /readyz answers 503. (default: 12)")
    var canaryLimit: String?

    @Option(help: "Times without a subscription that are remembered. (default: 64)")
    var maxGaps: String?

    @Option(help: "Senders that are accounted for. (default: 1024)")
    var maxSenders: String?

    @Flag(help: "Leave websockets to the network library, which takes more time and memory.")
    var noDirectSend = false

    @Flag(name: .shortAndLong, help: "Log what clients do.")
    var verbose = false

    /// One sentence and code 64 for whatever is wrong with the options; usage stays with `--help`.
    ///
    /// `explain` is told apart here and not by ArgumentParser, which would take its options for the server's of the same
    /// names.
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
            complain(message(for: error))
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
            throw ValidationError("\(first) is no command of ws-emit; \(hint)")
        }
        // Its usage line names the program, which ExplainCommand alone doesn't know.
        if rest.contains("--help") || rest.contains("-h") {
            throw CleanExit.message(helpMessage(for: ExplainCommand.self))
        }
        return try ExplainCommand.parseAsRoot(rest)
    }

    func run() async throws {
        let settings: Settings
        do {
            settings = try Settings(self, environment: Environment())
        } catch {
            complain("\(error)")
            throw ExitCode(64)
        }
        try await Service(settings: settings).run()
    }
}

/// One line on standard error.
func complain(_ sentence: String) {
    let line = Array("ws-emit: \(sentence)\n".utf8)
    _ = line.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
