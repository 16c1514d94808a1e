import Bridge
import Bytes
import Glibc
import PubSubMessages
import RedisPubSub
import SocketIOProtocol

/// An error in the settings, as one sentence.
struct SettingsError: Error, CustomStringConvertible {
    let description: String
    /// The program's exit code: 64 for a wrong option, 71 for a limit of the system (EX_OSERR).
    var exitCode: Int32 = 64
}

/// Environment variables; an empty one counts as unset, as in the original.
struct Environment {
    func value(_ name: String) -> String? {
        guard let text = getenv(name).map({ String(cString: $0) }), !text.isEmpty else { return nil }
        return text
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
        (host, port) = try Self.address(command.address ?? environment.value("ADDRESS") ?? "0.0.0.0:8899")
        broker = try Self.broker(
            try Self.redisURL(command.redis, passwordFile: command.redisPasswordFile, environment), command.roomSecret)
        threads =
            try command.threads.map { value throws(SettingsError) in
                try Self.number(value, of: "--threads", in: 1...SessionID.maximumLoops)
            } ?? AvailableCores.count
        isVerbose = command.verbose
        if (command.flaskSecret ?? environment.value("FLASK_SECRET")) != nil {
            warnings.append("--flask-secret and FLASK_SECRET have no effect")
        }

        let origins = command.cors.isEmpty ? [environment.value("CORS") ?? ""] : command.cors
        let words = origins.flatMap { $0.split(whereSeparator: \.isWhitespace).map(String.init) }
        if !words.isEmpty { bridge.origins = words }
        let flaws = bridge.origins.compactMap { AllowedOrigin.flaw(in: $0) }
        // The original took any text, so some environment files have a wrong word. Their other words keep working.
        if let flaw = flaws.first, !command.cors.isEmpty || flaws.count == bridge.origins.count {
            throw SettingsError(description: (command.cors.isEmpty ? "CORS: " : "--cors: ") + flaw)
        }
        warnings += flaws + bridge.origins.compactMap { AllowedOrigin.doubt(in: $0) }
        bridge.emitSecret = command.secret ?? environment.value("SECRET")
        if !command.channel.isEmpty { bridge.redisChannels = command.channel }
        bridge.listConvention = try Self.choice(command.dialect, of: "--dialect") ?? .learned
        let publishing: Publishing = try Self.choice(command.publish, of: "--publish") ?? .auto
        bridge.publishFormat = publishing.format
        if bridge.redisChannels.contains("") { throw SettingsError(description: "--channel must not be empty") }
        if !command.namespace.isEmpty { bridge.namespaces = try Self.namespaces(command.namespace) }
        if let path = command.path { bridge.path = try Self.path(path) }
        admin = try (command.adminAddress ?? environment.value("ADMIN_ADDRESS")).map { text throws(SettingsError) in
            try Self.address(text, option: "--admin-address")
        }
        bridge.hasAdminListener = admin != nil
        // For tests only, and documented nowhere else: the integration tests run both ways.
        bridge.usesFastLane = environment.value("WS_EMIT_FAST_LANE") != "off"
        bridge.version = Version.current
        switch broker {
        case .redis(let url):
            bridge.redisName = "\(url)"
            warnings += url.options.notes
        case .none:
            guard bridge.emitSecret?.isEmpty == false else {
                throw SettingsError(
                    description:
                        "with --redis none, messages come by POST /emit only, which needs --secret")
            }
        }
        try takeLimits(command)
    }

    private mutating func takeLimits(_ command: WSEmitCommand) throws(SettingsError) {
        try Self.take(command.pingInterval, "--ping-interval", into: &bridge.timing.pingInterval)
        try Self.take(command.pingTimeout, "--ping-timeout", into: &bridge.timing.pingTimeout)
        try Self.take(command.connectTimeout, "--connect-timeout", into: &bridge.timing.connectTimeout)
        try Self.take(command.upgradeTimeout, "--upgrade-timeout", into: &bridge.timing.upgradeTimeout)
        try Self.take(command.headTimeout, "--head-timeout", into: &bridge.headTimeout)
        try Self.take(command.bodyTimeout, "--body-timeout", into: &bridge.bodyTimeout)
        try Self.take(command.idleTimeout, "--idle-timeout", into: &bridge.idleTimeout)
        try Self.take(command.stallTimeout, "--stall-timeout", into: &bridge.stallTimeout)
        if command.canaryInterval == "none" {
            bridge.canaryInterval = nil
        } else if var interval = bridge.canaryInterval {
            try Self.take(command.canaryInterval, "--canary-interval", into: &interval)
            bridge.canaryInterval = interval
        }
        try Self.take(command.canaryLimit, "--canary-limit", into: &bridge.canaryLimit)
        if let interval = bridge.canaryInterval, interval >= bridge.canaryLimit {
            throw SettingsError(
                description: "--canary-limit must be longer than --canary-interval, preferably more than twice as long")
        }
        let sizes = 1...(1 << 30)
        if let value = command.maxPayload { bridge.maxPayload = try Self.number(value, of: "--max-payload", in: sizes) }
        if let value = command.maxEmitBody {
            bridge.maxEmitBodyBytes = try Self.number(value, of: "--max-emit-body", in: sizes)
        }
        if let value = command.maxUnfinished {
            // The largest message must fit beside the beginnings of some others.
            let least = 2 * max(bridge.maxPayload, bridge.maxEmitBodyBytes)
            bridge.maxUnfinishedBytes = try Self.number(value, of: "--max-unfinished", in: least...(1 << 40))
        }
        if let value = command.maxQueue { bridge.maxQueuedBytes = try Self.number(value, of: "--max-queue", in: sizes) }
        if let value = command.maxRooms {
            bridge.maxRoomsPerSocket = try Self.number(value, of: "--max-rooms", in: 0...10_000_000)
        }
        if let value = command.maxNamespaces {
            bridge.maxNamespacesPerSession = try Self.number(value, of: "--max-namespaces", in: 1...10_000)
        }
        if let value = command.maxPendingAcks {
            bridge.maxPendingAcks = try Self.number(value, of: "--max-pending-acks", in: 1...1_000_000)
        }
        if let value = command.maxMessage {
            bridge.maxMessageBytes = try Self.number(value, of: "--max-message", in: sizes)
        }
        if let value = command.maxRedisQueue {
            bridge.maxRedisQueueBytes = try Self.number(value, of: "--max-redis-queue", in: sizes)
        }
        if let value = command.maxSecret {
            bridge.maxSecretBytes = try Self.number(value, of: "--max-secret", in: sizes)
        }
        if let value = command.maxGaps { bridge.maxGaps = try Self.number(value, of: "--max-gaps", in: 1...10_000) }
        if let value = command.maxSenders {
            bridge.maxSenders = try Self.number(value, of: "--max-senders", in: 1...1_000_000)
        }
        try shareOutDescriptors()
        if let value = command.maxConnections {
            bridge.maxConnections = try Self.number(value, of: "--max-connections", in: 1...10_000_000)
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

    static func address(
        _ text: String, option: String = "--address"
    ) throws(SettingsError) -> (host: String, port: Int) {
        let wrong = SettingsError(
            description: "\(option) \(text) is no address: write host:port, as in 0.0.0.0:8899 or [::1]:8899")
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

    /// The Redis of the options or the environment, with readable files; nil for `none`.
    static func redisURL(
        _ option: String?, passwordFile: String?, _ environment: Environment
    ) throws(SettingsError) -> RedisURL? {
        let text = option ?? environment.value("REDIS") ?? "redis://localhost:6379/0"
        guard text != "none" else { return nil }
        do {
            var url = try RedisURL(text)
            if let file = passwordFile ?? environment.value("REDIS_PASSWORD_FILE") {
                url = try url.withPassword(inFile: file)
            }
            try url.checkFiles()
            return url
        } catch {
            throw SettingsError(description: "--redis: \(error)")
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
            guard let equals = pair.firstIndex(of: "="), pair.index(after: equals) < pair.endIndex else {
                throw SettingsError(description: "--room-secret is written space=secret")
            }
            let space = ByteString(String(pair[..<equals]))
            values[RoomSecretKey.key(of: space)] = Array(pair[pair.index(after: equals)...].utf8)
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
        return text.hasSuffix("/") ? text : text + "/"
    }

    /// One of the values that an option accepts.
    private static func choice<Choice: RawRepresentable & CaseIterable>(
        _ text: String?, of option: String
    ) throws(SettingsError) -> Choice? where Choice.RawValue == String {
        guard let text else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw SettingsError(description: "\(option) \(text) is not known; known are \(known)")
        }
        return choice
    }

    private static func number(
        _ text: String, of option: String, in range: ClosedRange<Int>
    ) throws(SettingsError) -> Int {
        guard let value = Int(text), range.contains(value) else {
            throw SettingsError(
                description: "\(option) \(text) is not a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    private static func take(
        _ text: String?, _ option: String, into setting: inout Duration
    ) throws(SettingsError) {
        guard let text else { return }
        guard let value = Double(text), value >= 0.05, value <= 86_400 else {
            throw SettingsError(description: "\(option) \(text) is not a number of seconds from 0.05 to 86400")
        }
        setting = .milliseconds(Int64((value * 1000).rounded()))
    }
}

/// The values of `--publish`.
private enum Publishing: String, CaseIterable {
    case auto, json, pickle

    var format: PubSubMessageEncoder.Format? {
        switch self {
        case .auto: nil
        case .json: .json
        case .pickle: .pickle
        }
    }
}
