import ArgumentParser
import Bridge
import Bytes
import Glibc
import PubSubMessages
import RedisPubSub
import SocketIOProtocol

/// An error in the settings, as one sentence; several wrong rules are one each.
struct SettingsError: Error, CustomStringConvertible {
    let sentences: [String]
    /// The program's exit code: 64 for a wrong option, 71 for a limit of the system (EX_OSERR).
    let exitCode: Int32

    init(description: String, exitCode: Int32 = 64) {
        self.init(sentences: [description], exitCode: exitCode)
    }

    init(sentences: [String], exitCode: Int32 = 64) {
        (self.sentences, self.exitCode) = (sentences, exitCode)
    }

    var description: String { sentences.joined(separator: "\n") }
}

/// Environment variables; an empty one counts as unset, as in the original.
struct Environment {
    var lookUp: (String) -> String? = { name in unsafe getenv(name).map { unsafe String(cString: $0) } }

    func value(_ name: String) -> String? { lookUp(name).flatMap { $0.isEmpty ? nil : $0 } }

    /// The text of an option, or else of its variable.
    func setting(_ option: String?, _ flag: String, _ variable: String) -> Setting? {
        option.map { Setting(name: flag, text: $0) } ?? value(variable).map { Setting(name: variable, text: $0) }
    }
}

/// The text of a setting, and the option or variable that it comes from.
struct Setting {
    let name: String
    let text: String

    func address() throws(SettingsError) -> (host: String, port: Int) {
        let wrong = SettingsError(
            description: "\(name) \(text) is no address: write host:port, as in 0.0.0.0:8899 or [::1]:8899")
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { throw wrong }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            throw wrong
        }
        guard !host.isEmpty else { throw wrong }
        return (host, port)
    }

    /// The Redis of this URL, with readable files; nil for `none`.
    func redisURL(passwordFile: String?) throws(SettingsError) -> RedisURL? {
        guard text != "none" else { return nil }
        do {
            var url = try RedisURL(text)
            if let passwordFile { url = try url.withPassword(inFile: passwordFile) }
            try url.checkFiles()
            return url
        } catch {
            throw SettingsError(description: "\(name): \(error)")
        }
    }
}

/// The settings from options, environment and defaults, checked.
struct Settings: Sendable {
    enum Broker: Sendable {
        case redis(RedisURL)
        case none(roomSecrets: [[UInt8]: [UInt8]])
    }

    var host: String
    var port: Int
    var broker: Broker
    /// Address of the admin listener; nil without one.
    var admin: (host: String, port: Int)?
    /// Event loops.
    var threads: Int
    var isVerbose: Bool
    /// Accepted settings that are probably mistakes, for the log.
    var warnings: [String] = []
    var bridge = BridgeConfiguration()

    init(_ command: WSEmitCommand, environment: Environment) throws(SettingsError) {
        let address = environment.setting(command.address, "--address", "ADDRESS")
        (host, port) = try (address ?? Setting(name: "--address", text: "0.0.0.0:8899")).address()
        let redis = environment.setting(command.redis, "--redis", "REDIS")
        let url = try (redis ?? Setting(name: "--redis", text: "redis://localhost:6379/0")).redisURL(
            passwordFile: command.redisPasswordFile ?? environment.value("REDIS_PASSWORD_FILE"))
        broker = try Self.broker(url, command.roomSecret)
        threads = command.threads ?? AvailableCores.count
        isVerbose = command.verbose
        if (command.flaskSecret ?? environment.value("FLASK_SECRET")) != nil {
            warnings.append("--flask-secret and FLASK_SECRET have no effect")
        }
        try takeOrigins(command.cors, environment.value("CORS"))
        bridge.emitSecret = command.secret ?? environment.value("SECRET")
        if !command.channel.isEmpty { bridge.redisChannels = command.channel }
        bridge.listConvention = command.dialect
        bridge.publishFormat = command.publish.format
        if bridge.redisChannels.contains("") { throw SettingsError(description: "--channel must not be empty") }
        if !command.namespace.isEmpty { bridge.namespaces = try Self.namespaces(command.namespace) }
        if let path = command.path { bridge.path = try Self.path(path) }
        admin = try environment.setting(command.adminAddress, "--admin-address", "ADMIN_ADDRESS")?.address()
        bridge.hasAdminListener = admin != nil
        // For tests only, and documented nowhere else: the integration tests run both ways.
        bridge.usesFastLane = environment.value("WS_EMIT_FAST_LANE") != "off"
        bridge.version = Version.current
        if let url {
            bridge.redisName = "\(url)"
            warnings += url.options.notes
        } else if bridge.emitSecret?.isEmpty ?? true {
            throw SettingsError(
                description: "with --redis none, messages come by POST /emit only, which needs --secret")
        }
        try shareOutDescriptors()
        try takeNumbers(command)
        // Behind the numbers, which hold where a rule says nothing.
        try takeRules(command, environment)
    }

    /// - Parameter options: each may hold several origins, as the variable does.
    private mutating func takeOrigins(_ options: [String], _ variable: String?) throws(SettingsError) {
        let texts = options.isEmpty ? [variable ?? ""] : options
        let words = texts.flatMap { $0.split(whereSeparator: \.isWhitespace).map(String.init) }
        if !words.isEmpty { bridge.origins = words }
        let flaws = bridge.origins.compactMap { AllowedOrigin.flaw(in: $0) }
        // The original took any text, so some environment files have a wrong word. Their other words keep working.
        if let flaw = flaws.first, !options.isEmpty || flaws.count == bridge.origins.count {
            throw SettingsError(description: (options.isEmpty ? "CORS: " : "--cors: ") + flaw)
        }
        warnings += bridge.origins.compactMap { AllowedOrigin.flaw(in: $0) ?? AllowedOrigin.doubt(in: $0) }
    }

    private mutating func takeNumbers(_ command: WSEmitCommand) throws(SettingsError) {
        for change in command.changes { change(&bridge) }
        if let interval = bridge.canaryInterval, interval >= bridge.canaryLimit {
            throw SettingsError(
                description: "--canary-limit must be longer than --canary-interval, preferably more than twice as long")
        }
        // The largest message must fit beside the beginnings of some others.
        let least = 2 * max(bridge.maxPayload, bridge.maxEmitBodyBytes)
        if let bytes = bridge.maxUnfinishedBytes, bytes < least {
            throw SettingsError(
                description:
                    "--max-unfinished \(bytes) is less than twice the largest packet or body: write at least \(least)")
        }
    }

    /// Sets the numbers of event loops and connections; with few descriptors, lower ones than wanted.
    private mutating func shareOutDescriptors() throws(SettingsError) {
        let free = DescriptorBudget.freeDescriptors(loopsWanted: threads)
        guard let budget = DescriptorBudget(free: free, loopsWanted: threads) else {
            throw SettingsError(
                description: "only \(free) more files may be opened, and ws-emit needs \(DescriptorBudget.fewest): "
                    + "raise the limit on open files (ulimit -n, LimitNOFILE= in systemd)",
                exitCode: 71)
        }
        bridge.maxConnections = budget.connections
        if budget.loops < threads {
            warnings.append(
                "only \(free) more files may be opened: event loops are \(budget.loops) instead of \(threads), and "
                    + "connections at most \(budget.connections); raise the limit on open files (ulimit -n, "
                    + "LimitNOFILE= in systemd)")
            threads = budget.loops
        }
        // Threads of the admin listener, of the waker, and of Dispatch.
        let needed = threads + 8
        let startable = ThreadLimit.startable(needed)
        guard startable == needed else {
            throw SettingsError(
                description: "only \(startable) more threads may be started, and ws-emit needs \(needed): "
                    + "lower --threads or raise the limit (ulimit -u, TasksMax= in systemd)",
                exitCode: 71)
        }
    }

    private static func broker(_ url: RedisURL?, _ roomSecrets: [String]) throws(SettingsError) -> Broker {
        if let url {
            guard roomSecrets.isEmpty else {
                throw SettingsError(
                    description:
                        "--room-secret goes with --redis none; otherwise set the Redis key ws-emit::room_secret::SPACE")
            }
            return .redis(url)
        }
        var values: [[UInt8]: [UInt8]] = [:]
        for pair in roomSecrets {
            guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex,
                pair.index(after: equals) < pair.endIndex
            else { throw SettingsError(description: "--room-secret is written space=secret") }
            let space = pair[..<equals]
            let secret = Array(pair[pair.index(after: equals)...].utf8)
            guard values.updateValue(secret, forKey: RoomSecretKey.keys(of: ByteString(String(space)))[0]) == nil else {
                throw SettingsError(description: "--room-secret gives room-space \(space) two secrets: one is possible")
            }
        }
        return .none(roomSecrets: values)
    }

    private static func namespaces(_ names: [String]) throws(SettingsError) -> Set<ByteString> {
        for name in names where !name.hasPrefix("/") || name.contains(",") || name.contains("?") {
            throw SettingsError(description: "--namespace \(name) must begin with / and hold no comma or question mark")
        }
        return Set(names.map { ByteString($0) })
    }

    private static func path(_ text: String) throws(SettingsError) -> String {
        guard text.hasPrefix("/"), text.count > 1, !text.contains("?") else {
            throw SettingsError(description: "--path \(text) must begin with / and name something, as in /socket.io/")
        }
        let path = text.hasSuffix("/") ? text : text + "/"
        guard !["/emit/", "/livez/", "/readyz/", "/metrics/", "/explain/"].contains(path) else {
            throw SettingsError(description: "--path \(text) is the path of another endpoint: choose another one")
        }
        return path
    }
}

extension PubSubMessageDecoder.ListConvention: ExpressibleByArgument {}

/// The values of `--publish`.
enum Publishing: String, CaseIterable, ExpressibleByArgument {
    case auto, json, pickle

    var format: PubSubMessageEncoder.Format? {
        switch self {
        case .auto: nil
        case .json: .json
        case .pickle: .pickle
        }
    }
}
