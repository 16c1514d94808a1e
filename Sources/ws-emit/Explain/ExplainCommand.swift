import ArgumentParser
import Bytes
import Glibc
import NIOCore
import NIOPosix
import RedisPubSub

/// `ws-emit explain`: asks a running ws-emit and Redis why nothing arrives, and says it in words.
struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Explains why messages for a room don't arrive.",
        discussion: """
            explain asks the running ws-emit for the clients in the room, listens to Redis for a while, and says what
            stands in the way and what to change. Emit while it listens. It changes nothing.

            It asks at --admin-address or --url. Without them it asks at ADMIN_ADDRESS or 127.0.0.1:8898, the address
            of the installed service, and then, with the secret, at the public address, ADDRESS or 127.0.0.1:8899.

            Exit code: 0 nothing stands in the way, 1 something does, 64 an option is wrong, 69 ws-emit can't be asked.

            Examples:
              ws-emit explain --room time
              ws-emit explain --room dir::report --event update --listen 30s
              ws-emit explain --room time --admin-address 127.0.0.1:8898 --output json
              ws-emit explain --room time --url http://localhost:8899 --secret 123 --redis redis://db:6379/0
            """,
        version: WSEmitCommand.configuration.version)

    @Option("The room.", value: "name") var room: String

    @Option("Its namespace.", value: "name") var namespace = "/"

    @Option("The event that should arrive.", value: "name") var event: String?

    @Option("The backend's channel, if you know it.", value: "name") var channel: String?

    @Option(
        "The --admin-address of the running ws-emit. (default: $ADMIN_ADDRESS or 127.0.0.1:8898)", value: "host:port")
    var adminAddress: String?

    @Option(
        "Its public address instead, http://host:port; needs --secret. (default: $ADDRESS or 127.0.0.1:8899)",
        value: "url")
    var url: String?

    @Option("The secret of POST /emit, for the public address. (default: $SECRET)", value: "text") var secret: String?

    @Option(
        "The Redis of the backend, its message_queue; or none. (default: $REDIS or that of the running ws-emit)",
        value: "url")
    var redis: String?

    @Option("File whose first line is the password of that Redis. (default: $REDIS_PASSWORD_FILE)", value: "path")
    var redisPasswordFile: String?

    @Option("Time to listen to published messages: seconds, or a number with ms, s or m.", value: "time")
    var listen = "3"

    @Option("text, or json: one object, for programs.", value: "format") var output = OutputFormat.text

    enum OutputFormat: String, CaseIterable, ExpressibleByArgument { case text, json }

    func run() async throws {
        let environment = Environment()
        let targets = try InstanceAddress.candidates(
            adminAddress: adminAddress, url: url, secret: secret, environment: environment)
        guard !room.isEmpty else { throw ValidationError("--room is empty: give the room that the page joins") }
        guard let time = Duration(text: listen), time <= .seconds(86_400) else {
            throw ValidationError("--listen \(listen) is not a time up to a day: write 3, 3s, 500ms or 1m")
        }
        let named = try environment.setting(redis, "--redis", "REDIS").map { try redisURL($0, environment) }
        do {
            let diagnosis = try await diagnose(targets, named, time / .seconds(1), environment)
            print(output == .json ? diagnosis.json : diagnosis.text + "\n", terminator: "")
            if !diagnosis.findings.isEmpty { throw ExitCode(1) }
        } catch let failure as InstanceAddress.Failure {
            print(output == .json ? failure.json : failure.finding.line + "\n", terminator: "")
            throw ExitCode(69)
        }
    }

    /// - Parameter namedRedis: nil without a named Redis, `.some(nil)` for `none`.
    private func diagnose(
        _ targets: [InstanceAddress], _ namedRedis: RedisURL??, _ seconds: Double, _ environment: Environment
    ) async throws -> Diagnosis {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let (target, before) = try await InstanceAddress.ask(targets, room: room, namespace: delivered, group)
        let instanceRedis = Setting(name: "--redis", text: withoutPassword(before.redis, environment))
        let redisURL = namedRedis ?? (try? redisURL(instanceRedis, environment))
        var listener: RedisListener?
        if let redisURL { listener = try await RedisListener(redisURL, on: group.any()) }
        try await listener?.waitForSubscription()
        try await Task.sleep(for: .seconds(seconds))
        // Asks again for events since the first time.
        let (_, facts) = try await InstanceAddress.ask([target], room: room, namespace: delivered, group)
        try await listener?.waitForCanary(of: facts)
        let question = Diagnosis.Question(
            room: room, namespace: delivered, event: event, channel: channel,
            redis: redisURL.map { "\($0)" } ?? "none", isRedisNamed: namedRedis != nil, instance: target.name)
        let heard = try await listener?.heard(seconds: seconds, facts: facts)
        // The event loop ends with the process, because an attempt to connect may still be under way on it.
        try await listener?.close()
        return Diagnosis(question: question, facts: facts, since: before.now, heard: heard)
    }

    /// The URL of an instance has `***` for its password. A login with that would only alarm readers of Redis's log.
    private func withoutPassword(_ url: String, _ environment: Environment) -> String {
        guard redisPasswordFile ?? environment.value("REDIS_PASSWORD_FILE") == nil,
            let end = url.firstRange(of: ":***@"), let start = url.firstRange(of: "://")
        else { return url }
        return String(url[..<start.upperBound] + url[end.upperBound...])
    }

    /// The namespace with its slash, as messages are delivered to it.
    private var delivered: String { namespace.hasPrefix("/") ? namespace : "/" + namespace }

    private func redisURL(_ setting: Setting, _ environment: Environment) throws -> RedisURL? {
        let passwordFile = redisPasswordFile ?? environment.value("REDIS_PASSWORD_FILE")
        return try setting.redisURL(passwordFile: passwordFile)?.namingService(channel)
    }
}
