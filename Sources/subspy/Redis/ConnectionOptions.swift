import ArgumentParser
import Glibc
import Logging
import RedisPubSub

/// Where Redis is, and what to do when it isn't there.
struct ConnectionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Redis server: redis://[user:password@]host:port/db or unix:///path. (default: $REDIS or redis://localhost:6379/0)",
            valueName: "url"))
    var redis: String?

    @Option(
        help: ArgumentHelp(
            "File whose first line is the password; keeps it out of the command line, as $REDIS does too.",
            valueName: "path"))
    var passwordFile: String?

    @Flag(help: "Fail with code 69 when Redis can't be reached at the start, instead of waiting for it.")
    var noWait = false

    @Flag(name: .shortAndLong, help: "Say more on standard error.")
    var verbose = false

    /// The server to connect to.
    func url() throws -> RedisURL {
        let environment = getenv("REDIS").map { String(cString: $0) } ?? ""
        let text = redis ?? (environment.isEmpty ? "redis://localhost:6379/0" : environment)
        let url: RedisURL
        do {
            url = try RedisURL(text)
        } catch {
            throw ValidationError("\(redis == nil ? "REDIS" : "--redis"): \(error)")
        }
        guard let passwordFile else { return url }
        guard let bytes = InputFile.read(passwordFile) else {
            throw ValidationError("--password-file: \(passwordFile) can't be read: \(SystemError.last)")
        }
        let password = Array(bytes.prefix { $0 != 0x0A && $0 != 0x0D })
        guard !password.isEmpty else {
            throw ValidationError("--password-file: \(passwordFile) has no password in its first line")
        }
        return url.withPassword(password)
    }

    var logger: Logger {
        Logger(label: "subspy") { _ in ProgramLog(logLevel: verbose ? .info : .notice) }
    }
}
