import ArgumentParser
import Glibc
import Logging
import RedisPubSub

/// The options for the Redis server, and for the behaviour when it can't be reached.
struct ConnectionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Redis or Valkey: redis://[user:password@]host:port/db, rediss:// with TLS, unix:///path, redis+sentinel://host,host/db/service or redis+cluster://host,host. (default: $REDIS or \(Defaults.redisURL))",
            valueName: "url"))
    var redis: String?

    @Option(
        name: [.customLong("password-file"), .customLong("redis-password-file")],
        help: ArgumentHelp(
            "File whose first line is the password; keeps it out of the command line, as $REDIS does too. (default: $REDIS_PASSWORD_FILE)",
            valueName: "path"), completion: .file())
    var passwordFile: String?

    @Flag(help: "Fail with code 69 when Redis can't be reached at the start, instead of waiting for it.")
    var noWait = false

    @Flag(name: .shortAndLong, help: "Say more on standard error.")
    var verbose = false

    /// The server to connect to.
    ///
    /// - Parameter channel: the first one of the command, which names a sentinels' service that the URL leaves out.
    func url(channel: String?) throws -> RedisURL {
        let text = redis ?? Self.environment("REDIS") ?? Defaults.redisURL
        let url: RedisURL
        do {
            url = try RedisURL(text).namingService(channel)
            try url.checkFiles()
        } catch {
            throw ValidationError("\(redis == nil ? "REDIS" : "--redis"): \(error)")
        }
        // The same name as ws-emit's, so that both can share an environment.
        guard let file = passwordFile ?? Self.environment("REDIS_PASSWORD_FILE") else { return url }
        do {
            return try url.withPassword(inFile: file)
        } catch {
            throw ValidationError("\(passwordFile == nil ? "REDIS_PASSWORD_FILE" : "--password-file"): \(error)")
        }
    }

    /// The value of a variable; nil when it is not set or empty.
    private static func environment(_ name: String) -> String? {
        unsafe getenv(name).map { unsafe String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Calls `body` with connections to the server, and runs until the run ends.
    ///
    /// - Parameter isQuiet: logs nothing; the screen says how Redis is.
    func run(_ url: RedisURL, isQuiet: Bool = false, _ body: @escaping (RedisSession) -> Void) throws(ExitCode) {
        let level: Logger.Level = isQuiet ? .critical : verbose ? .info : .notice
        let logger = Logger(label: "subspy") { _ in ProgramLog(logLevel: level) }
        try RunLoop.untilEnd { run in body(RedisSession(run: run, url: url, isPatient: !noWait, logger: logger)) }
    }
}
