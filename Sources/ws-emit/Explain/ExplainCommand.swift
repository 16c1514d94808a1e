import ArgumentParser
import Glibc
import JSONCodec
import Logging
import NIOCore
import NIOPosix
import RedisPubSub

/// `ws-emit explain`: asks a running ws-emit and Redis why nothing arrives, and answers in words.
struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ws-emit explain",
        abstract: "Explains why messages for a room don't arrive.",
        discussion: """
            Asks the running ws-emit who is in the room, listens for a while to what is published on Redis, and says
            what stands in the way and what to change. Emit while it listens. Nothing is changed by it.

            Exit code: 0 nothing stands in the way, 1 something does, 69 ws-emit can't be asked.

            Examples:
              ws-emit explain --room time --admin-address 127.0.0.1:8898
              ws-emit explain --room time --url http://localhost:8899 --secret 123
              ws-emit explain --room dir::report --event update --listen 30 --redis redis://db:6379/0
            """)

    @Option(help: "The room.")
    var room: String

    @Option(help: "Its namespace.")
    var namespace = "/"

    @Option(help: "The event that should arrive.")
    var event: String?

    @Option(help: "The channel that the backend publishes on, if you know it.")
    var channel: String?

    @Option(help: "The --admin-address of the running ws-emit, host:port.")
    var adminAddress: String?

    @Option(help: "Its public address instead, http://host:port; needs --secret. (default: http://localhost:8899)")
    var url: String?

    @Option(help: "The secret of POST /emit, for --url. (default: $SECRET)")
    var secret: String?

    @Option(help: "The Redis of the backend, its message_queue; or none. (default: $REDIS or redis://localhost:6379/0)")
    var redis: String?

    @Option(help: "File whose first line is the password of that Redis. (default: $REDIS_PASSWORD_FILE)")
    var redisPasswordFile: String?

    @Option(help: "Seconds to listen to what is published.")
    var listen = 3.0

    func run() async throws {
        let target = try target()
        guard !room.isEmpty else { throw ValidationError("--room is empty: it is the name that the page joins") }
        // As it is delivered, with or without its slash.
        let namespace = namespace.hasPrefix("/") ? namespace : "/" + namespace
        guard listen >= 0, listen <= 86_400 else { throw ValidationError("--listen takes 0 to 86400 seconds") }
        let redisURL = try redisURL()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let ear = redisURL.map { Ear(url: $0, group: group) }
        await ear?.open()
        if ear != nil { try await Task.sleep(for: .seconds(listen)) }
        // Afterwards, so that it knows of what was published meanwhile.
        let (facts, failure) = await ask(target, namespace, group)
        if let facts { await ear?.waitForCanary(of: facts) }
        let question = Diagnosis.Question(
            room: room, namespace: namespace, event: event, channel: channel,
            redis: redisURL.map { "\($0)" } ?? "none", instance: target.name)
        let heard = await ear?.heard(seconds: listen, facts: facts)
        let diagnosis = Diagnosis(question: question, facts: facts, instanceFailure: failure, heard: heard)
        // The event loop ends with the process: an attempt to connect may still be under way on it.
        await ear?.close()
        let findings = diagnosis.findings
        print(diagnosis.text(of: findings))
        if facts == nil { throw ExitCode(69) }
        if !findings.isEmpty { throw ExitCode(1) }
    }

    private struct Target {
        let host: String
        let port: Int
        let isAdmin: Bool
        let name: String
    }

    private func target() throws -> Target {
        if let adminAddress {
            guard url == nil else { throw ValidationError("give --admin-address or --url, not both") }
            do {
                let (host, port) = try Settings.address(adminAddress, option: "--admin-address")
                return Target(host: host, port: port, isAdmin: true, name: adminAddress)
            } catch {
                throw ValidationError("\(error)")
            }
        }
        let text = url ?? "http://localhost:8899"
        guard text.hasPrefix("http://") else {
            throw ValidationError("--url \(text) is no http:// address; ask ws-emit itself, not a proxy with TLS")
        }
        var authority = String(text.dropFirst("http://".count).prefix { $0 != "/" })
        if authority.last != "]", !authority.contains(":") || authority.hasSuffix("]") { authority += ":80" }
        do {
            let (host, port) = try Settings.address(authority, option: "--url")
            return Target(host: host, port: port, isAdmin: false, name: text)
        } catch {
            throw ValidationError("\(error)")
        }
    }

    private func redisURL() throws -> RedisURL? {
        do {
            return try Settings.redisURL(redis, passwordFile: redisPasswordFile, Environment())?.namingService(channel)
        } catch {
            throw ValidationError("\(error)")
        }
    }

    private func ask(
        _ target: Target, _ namespace: String, _ group: any EventLoopGroup
    ) async -> (InstanceFacts?, Diagnosis.Finding?) {
        let path = "/explain?room=\(Self.encoded(room))&namespace=\(Self.encoded(namespace))"
        let bearer = target.isAdmin ? nil : secret ?? Environment().value("SECRET")
        let howToAsk =
            "Give ws-emit an --admin-address and explain the same one, or --url and the --secret of POST /emit."
        do {
            let answer = try await AdminClient.get(
                path, host: target.host, port: target.port, bearer: bearer, group: group)
            switch answer.status {
            case 200:
                if let facts = InstanceFacts(answer.body) { return (facts, nil) }
            case 403:
                return (
                    nil,
                    .init(
                        code: "wrong_secret", sentence: "ws-emit at \(target.name) refuses to answer: another secret.",
                        advice: howToAsk)
                )
            default: break
            }
            let sentence =
                "What answers at \(target.name) says \(answer.status) to /explain: it is no ws-emit, or keeps this"
                + " for another address."
            return (nil, .init(code: "cannot_ask", sentence: sentence, advice: howToAsk))
        } catch {
            let sentence = "ws-emit at \(target.name) can't be reached: \(error)."
            return (
                nil,
                .init(
                    code: "unreachable", sentence: sentence,
                    advice: "Is it running, and is that its address? Its log says \"ws-emit started on …\".")
            )
        }
    }

    private static func encoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { result, byte in
            let isPlain =
                Character(UnicodeScalar(byte)).isASCII && Character(UnicodeScalar(byte)).isLetter
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            let digits = String(byte, radix: 16)
            result += isPlain ? String(UnicodeScalar(byte)) : "%" + (digits.count == 1 ? "0" : "") + digits
        }
    }
}
