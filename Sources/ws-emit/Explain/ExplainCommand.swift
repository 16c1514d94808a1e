import ArgumentParser
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

    @Option(help: ArgumentHelp("The room.", valueName: "name"))
    var room: String

    @Option(help: ArgumentHelp("Its namespace.", valueName: "name"))
    var namespace = "/"

    @Option(help: ArgumentHelp("The event that should arrive.", valueName: "name"))
    var event: String?

    @Option(help: ArgumentHelp("The backend's channel, if you know it.", valueName: "name"))
    var channel: String?

    @Option(
        help: ArgumentHelp(
            "The --admin-address of the running ws-emit. (default: $ADMIN_ADDRESS or 127.0.0.1:8898)",
            valueName: "host:port"))
    var adminAddress: String?

    @Option(
        help: ArgumentHelp(
            "Its public address instead, http://host:port; needs --secret. (default: $ADDRESS or 127.0.0.1:8899)",
            valueName: "url"))
    var url: String?

    @Option(
        help: ArgumentHelp("The secret of POST /emit, for the public address. (default: $SECRET)", valueName: "text"))
    var secret: String?

    @Option(
        help: ArgumentHelp(
            "The Redis of the backend, its message_queue; or none. (default: $REDIS or that of the running ws-emit)",
            valueName: "url"))
    var redis: String?

    @Option(
        help: ArgumentHelp(
            "File whose first line is the password of that Redis. (default: $REDIS_PASSWORD_FILE)", valueName: "path"))
    var redisPasswordFile: String?

    @Option(
        help: ArgumentHelp(
            "Time to listen to published messages: seconds, or a number with ms, s or m.", valueName: "time"))
    var listen = "3"

    @Option(help: ArgumentHelp("text, or json: one object, for programs.", valueName: "format"))
    var output = OutputFormat.text

    enum OutputFormat: String, CaseIterable, ExpressibleByArgument { case text, json }

    func run() async throws {
        let environment = Environment()
        let targets = try InstanceAddress.candidates(
            adminAddress: adminAddress, url: url, secret: secret, environment: environment)
        guard !room.isEmpty else { throw ValidationError("--room is empty: give the room that the page joins") }
        guard let seconds = Self.seconds(listen), seconds <= 86_400 else {
            throw ValidationError("--listen \(listen) is not a time up to a day: write 3, 3s, 500ms or 1m")
        }
        let named = redis ?? environment.value("REDIS")
        let namedRedis = try named.map { try redisURL($0, environment) }
        let diagnosis: Diagnosis
        do throws(InstanceAddress.Failure) {
            diagnosis = try await diagnose(targets, namedRedis, seconds, environment)
        } catch {
            show(text: error.finding.line, json: error.json)
            throw ExitCode(69)
        }
        show(text: diagnosis.text, json: diagnosis.json)
        if !diagnosis.findings.isEmpty { throw ExitCode(1) }
    }

    private func show(text: String, json: String) {
        print(output == .json ? json : text + "\n", terminator: "")
    }

    /// - Parameter namedRedis: nil without a named Redis, `.some(nil)` for `none`.
    private func diagnose(
        _ targets: [InstanceAddress], _ namedRedis: RedisURL??, _ seconds: Double, _ environment: Environment
    ) async throws(InstanceAddress.Failure) -> Diagnosis {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let (target, before) = try await InstanceAddress.ask(targets, room: room, namespace: delivered, group)
        let redisURL = namedRedis ?? (try? redisURL(withoutPassword(before.redis, environment), environment))
        let listener = redisURL.map { RedisListener(url: $0, group: group) }
        await listener?.open()
        if seconds > 0 { try? await Task.sleep(for: .seconds(seconds)) }
        // Asks again for events since the first time.
        let (_, facts) = try await InstanceAddress.ask([target], room: room, namespace: delivered, group)
        await listener?.waitForCanary(of: facts)
        let question = Diagnosis.Question(
            room: room, namespace: delivered, event: event, channel: channel,
            redis: redisURL.map { "\($0)" } ?? "none", isRedisNamed: namedRedis != nil, instance: target.name)
        let heard = await listener?.heard(seconds: seconds, facts: facts)
        // The event loop ends with the process, because an attempt to connect may still be under way on it.
        await listener?.close()
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

    private func redisURL(_ text: String, _ environment: Environment) throws -> RedisURL? {
        do {
            return try Settings.redisURL(text, passwordFile: redisPasswordFile, environment)?.namingService(channel)
        } catch {
            throw ValidationError("\(error)")
        }
    }

    /// Seconds from a number with or without a unit; nil for anything else.
    static func seconds(_ text: String) -> Double? {
        let number = text.prefix { $0.isNumber || $0 == "." }
        let units = ["": 1.0, "s": 1, "ms": 0.001, "m": 60]
        guard let value = Double(number), value.isFinite, let unit = units[String(text.dropFirst(number.count))] else {
            return nil
        }
        return value * unit
    }
}
