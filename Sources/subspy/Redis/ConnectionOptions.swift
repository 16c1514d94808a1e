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
            throw ValidationError("--password-file: \(passwordFile) can't be read: \(InputFile.lastError)")
        }
        let password = Array(bytes.prefix { $0 != 0x0A && $0 != 0x0D })
        guard !password.isEmpty else { throw ValidationError("--password-file: \(passwordFile) has no password in its first line") }
        return url.withPassword(password)
    }

    var logger: Logger {
        Logger(label: "subspy") { _ in ProgramLog(logLevel: verbose ? .info : .notice) }
    }
}

/// Whole files as bytes.
enum InputFile {
    /// Why the last system call failed, in the system's words.
    static var lastError: String { strerror(errno).map { String(cString: $0) } ?? "error \(errno)" }

    /// The content of a file, `-` being standard input; nil when it can't be read, with the reason in `lastError`.
    static func read(_ path: String) -> [UInt8]? {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return content }
            content.append(contentsOf: chunk[..<count])
        }
    }
}
