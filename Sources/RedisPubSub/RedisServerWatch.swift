import Logging
import NIOCore

/// Asks the server how much output waits for our subscription, warns before it is too much, and keeps the facts that explain
/// the loss of a subscription later.
///
/// It uses the connection for commands: `CLIENT LIST` once a second, `INFO` and `CONFIG GET` with every fifth one and after a
/// loss. A command that an ACL or an old server refuses is not sent again on that connection.
final class RedisServerWatch {
    /// The facts of `INFO` that can explain a loss.
    struct Facts: Equatable {
        var endpoint: RedisURL.Endpoint
        var runID: Substring = ""
        /// Redis 7.4 and later; nil elsewhere.
        var outputBufferDisconnections: Int?
        var evictedClients: Int?
        /// Calls of CLIENT KILL, and of those ACL commands that end subscriptions; Redis 7 and later.
        var clientKills: Int?
        var accessChanges = 0
        /// The largest output buffer of any client within the last seconds.
        var recentOutputBytes: Int?
    }

    private(set) var limit = RedisOutputBufferLimit()
    private let context: RedisContext
    /// The link whose output is watched.
    private weak var subscription: RedisLink?
    /// The link to ask over.
    private weak var commands: RedisLink?
    private var refused: Set<RedisError.Command> = []
    private var waitingForReply: Set<RedisError.Command> = []
    private var timer: Scheduled<Void>?
    private var ticks = 0
    private var listsByID = true
    /// The last reply to INFO, from before a loss if there is one.
    private(set) var facts: Facts?
    /// The output that waited for the subscription at the last reply.
    private var waitingBytes = 0
    private var hasWarned = false
    private var limitChanged: (RedisOutputBufferLimit) -> Void = { _ in }

    init(_ context: RedisContext, subscription: RedisLink, commands: RedisLink) {
        self.context = context
        self.subscription = subscription
        self.commands = commands
    }

    func stop() { timer?.cancel() }

    // MARK: While subscribed

    /// The connection for commands to this server is ready.
    func commandsAreReady(at endpoint: RedisURL.Endpoint, limitChanged: @escaping (RedisOutputBufferLimit) -> Void) {
        refused = []
        listsByID = true
        self.limitChanged = limitChanged
        askLimit()
        beginAnew()
    }

    /// Operators may change the limit at run time, as our warning advises.
    private func askLimit() {
        ask(.configuration, ["CONFIG", "GET", "client-output-buffer-limit"]) { [weak self] reply in
            guard let self, case .texts(let texts) = reply, texts.count == 2,
                let limit = RedisOutputBufferLimit(configuration: String(buffer: texts[1])), limit != self.limit
            else { return }
            self.limit = limit
            self.limitChanged(limit)
        }
    }

    /// Asks at once, since the server or the subscription is new.
    func beginAnew() {
        ticks = 0
        tick()
    }

    private func tick() {
        timer?.cancel()
        timer = context.schedule(in: context.configuration.watchInterval) { [weak self] in self?.tick() }
        guard let commands, commands.isReady, let endpoint = commands.target, endpoint == subscription?.target,
            let clientID = subscription?.clientID
        else { return }
        if ticks % 5 == 0 {
            askLimit()
            info(at: endpoint) { [weak self] in self?.facts = $0 ?? self?.facts }
        }
        ticks += 1
        // `ID` gives one line, from Redis 6.2 on; older servers list all subscribers.
        let selection = listsByID ? ["ID", String(clientID)] : ["TYPE", "pubsub"]
        ask(.clientList, ["CLIENT", "LIST"] + selection) { [weak self] reply in
            guard let text = reply?.bytes else {
                if let self, self.listsByID, self.refused.remove(.clientList) != nil { self.listsByID = false }
                return
            }
            let ours = String(buffer: text).split(whereSeparator: \.isNewline).first { $0.hasPrefix("id=\(clientID) ") }
            self?.note(waitingBytes: ours.flatMap { Self.number(after: "omem=", in: $0) } ?? 0)
        }
    }

    private func note(waitingBytes: Int) {
        self.waitingBytes = waitingBytes
        guard let warningBytes = limit.warningBytes else { return }
        if waitingBytes >= warningBytes, !hasWarned {
            hasWarned = true
            context.logger.warning(
                "Redis holds back output for the subscription, which reads more slowly than messages are published; at the limit Redis drops it",
                metadata: ["waiting_bytes": "\(waitingBytes)", "limit": "\(limit)"])
        } else if waitingBytes < warningBytes / 2 {
            hasWarned = false
        }
    }

    // MARK: After a loss

    /// Finds the cause of a loss, once the subscription is back at the same server.
    ///
    /// - Parameter wasWithinReply: whether the connection ended in the middle of a message.
    /// - Parameter wasAlone: whether the connection for commands survived, so that neither a proxy nor the network was at fault.
    /// - Parameter body: called with the cause, or with nil when no more is known than that the server closed the connection.
    func explain(
        at endpoint: RedisURL.Endpoint, wasWithinReply: Bool, wasAlone: Bool,
        _ body: @escaping (RedisError?) -> Void
    ) {
        let (before, waitingBytes) = (facts, waitingBytes)
        self.waitingBytes = 0
        guard let before, before.endpoint == endpoint, !refused.contains(.info) else { return body(nil) }
        // Its reply comes first, so that the error names the limit in force.
        askLimit()
        info(at: endpoint) { [weak self] now in
            guard let self else { return }
            guard let now else { return body(nil) }
            self.facts = now
            let signs = Signs(waitingBytes: waitingBytes, wasWithinReply: wasWithinReply, wasAlone: wasAlone)
            body(Self.cause(before, now, signs, limit))
        }
    }

    /// The signs of a loss that we saw ourselves.
    struct Signs {
        /// The output that waited at the last reply before the loss.
        var waitingBytes = 0
        var wasWithinReply = false
        var wasAlone = true
    }

    /// Newer servers count the clients that they disconnect for too much output. With older ones the signs decide: much output
    /// had waited shortly before, or a message was cut in two, or no other cause is left that ends a subscription but not the
    /// connection for commands. Redis 7 counts the calls of all other causes.
    static func cause(
        _ before: Facts, _ now: Facts, _ signs: Signs, _ limit: RedisOutputBufferLimit
    ) -> RedisError? {
        guard now.runID == before.runID else { return .restarted }
        if let counted = now.outputBufferDisconnections, let earlier = before.outputBufferDisconnections,
            counted > earlier
        {
            return .outputBufferFull(limit)
        }
        if let kills = now.clientKills, kills > before.clientKills ?? 0 { return .killed }
        if let evicted = now.evictedClients, evicted > before.evictedClients ?? 0 { return .evicted }
        guard now.outputBufferDisconnections == nil, let warningBytes = limit.warningBytes,
            now.accessChanges == before.accessChanges
        else { return nil }
        let seen = max(signs.waitingBytes, now.recentOutputBytes ?? 0)
        let isLastCauseLeft = signs.wasAlone && now.clientKills != nil
        return seen >= warningBytes || signs.wasWithinReply || isLastCauseLeft ? .outputBufferFull(limit) : nil
    }

    // MARK: Questions

    private func info(at endpoint: RedisURL.Endpoint, _ body: @escaping (Facts?) -> Void) {
        ask(.info, ["INFO", "all"]) { reply in
            guard let buffer = reply?.bytes else { return body(nil) }
            body(Self.facts(in: String(buffer: buffer), endpoint: endpoint))
        }
    }

    static func facts(in text: String, endpoint: RedisURL.Endpoint) -> Facts {
        var facts = Facts(endpoint: endpoint)
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...]
            switch line[..<colon] {
            case "run_id": facts.runID = value
            case "client_output_buffer_limit_disconnections": facts.outputBufferDisconnections = Int(value)
            case "evicted_clients": facts.evictedClients = Int(value)
            case "client_recent_max_output_buffer": facts.recentOutputBytes = Int(value)
            // A server that counts subcommands does so from its start.
            case let name where name.hasPrefix("cmdstat_client|") && name != "cmdstat_client|kill":
                facts.clientKills = facts.clientKills ?? 0
            case "cmdstat_client|kill": facts.clientKills = number(after: "calls=", in: value)
            case "cmdstat_acl|setuser", "cmdstat_acl|deluser", "cmdstat_acl|load":
                facts.accessChanges += number(after: "calls=", in: value) ?? 0
            default: break
            }
        }
        return facts
    }

    /// The number of one field, as in `calls=3,usec=52` and `id=7 omem=0`.
    private static func number(after name: String, in text: some StringProtocol) -> Int? {
        text.split { $0 == "," || $0.isWhitespace }.first { $0.hasPrefix(name) }.flatMap {
            Int($0.dropFirst(name.count))
        }
    }

    /// Sends a command and calls `body` with the reply; with nil when it fails, is refused, or still waits for a reply.
    private func ask(_ command: RedisError.Command, _ words: [String], _ body: @escaping (RedisReply?) -> Void) {
        guard !refused.contains(command), waitingForReply.insert(command).inserted else { return body(nil) }
        let reply =
            commands?.connection?.ask(command, words)
            ?? context.eventLoop.makeFailedFuture(RedisError.notConnected)
        reply.assumeIsolated().whenComplete { [weak self] result in
            self?.waitingForReply.remove(command)
            switch result {
            case .success(let reply): body(reply)
            case .failure(let error):
                if case RedisError.refused(_, let message) = error {
                    self?.refused.insert(command)
                    self?.context.logger.debug(
                        "Redis refuses a question about its state",
                        metadata: ["command": "\(command.rawValue)", "cause": "\(message)"])
                }
                body(nil)
            }
        }
    }
}
