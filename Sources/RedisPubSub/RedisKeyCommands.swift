import NIOCore

/// Sends commands that name keys: over the connection for commands, and where a cluster's node redirects us (`MOVED`, `ASK`), over
/// a few further connections, which are kept open.
final class RedisKeyCommands {
    /// The node of a cluster that has a key, as another node names it.
    struct Redirection: Equatable {
        let endpoint: RedisURL.Endpoint
        /// The slot is being moved there: the node replies only after ASKING.
        let isAsk: Bool

        /// Reads `MOVED 3999 127.0.0.1:6381` and `ASK 3999 127.0.0.1:6381`.
        init?(_ message: String, askedAt endpoint: RedisURL.Endpoint) {
            let words = message.split(separator: " ")
            guard words.count == 3, words[0] == "MOVED" || words[0] == "ASK",
                let target = RedisURL.Endpoint(words[2], askedAt: endpoint)
            else { return nil }
            self.endpoint = target
            isAsk = words[0] == "ASK"
        }
    }

    /// The redirections followed in a row; a cluster that is being reorganised replies with one or two.
    static let maximumSteps = 5
    /// Connections to nodes. For another one the connection used longest ago is closed.
    static let maximumLinks = 16

    private let context: RedisContext
    private var links: [(endpoint: RedisURL.Endpoint, link: RedisLink)] = []
    /// False if GETRANGE has been refused since the connection for commands was made.
    private var permitsRanges = true
    private var isStopped = false

    init(_ context: RedisContext) {
        self.context = context
    }

    /// The connection for commands is new: rights may have changed, or the server.
    func commandsAreReady() { permitsRanges = true }

    /// Reads at most `limit` bytes, or all of the value where the server doesn't permit `GETRANGE`.
    func get(_ key: [UInt8], upTo limit: Int, over commands: RedisLink) -> EventLoopFuture<ByteBuffer?> {
        let whole = { self.query(.get, RedisCommand.get(key), over: commands).map { $0.bytes } }
        guard permitsRanges else { return whole() }
        let beginning = query(.get, RedisCommand.get(key, upTo: limit), over: commands).map { $0.bytes }
        return beginning.assumeIsolated().flatMapError { [weak self] error in
            guard let self, !self.isStopped, case RedisError.refused(.get, let message) = error,
                message.contains("to run") || message.hasPrefix("ERR unknown")
            else { return beginning }
            self.permitsRanges = false
            return whole()
        }.nonisolated()
    }

    /// Sends a command whose keys are in one slot.
    func query(_ command: RedisError.Command, _ bytes: ByteBuffer, over commands: RedisLink) -> EventLoopFuture<
        RedisReply
    > {
        let reply = commands.query(command, bytes)
        return following(reply, askedAt: commands.target ?? context.url.endpoint, command, bytes, steps: 0)
    }

    /// The reply, or the one of the node that it redirects to.
    private func following(
        _ reply: EventLoopFuture<RedisReply>, askedAt endpoint: RedisURL.Endpoint, _ command: RedisError.Command,
        _ bytes: ByteBuffer, steps: Int
    ) -> EventLoopFuture<RedisReply> {
        reply.assumeIsolated().flatMapError { [weak self] error in
            guard let self, !self.isStopped, steps < Self.maximumSteps,
                case RedisError.refused(command, let message) = error,
                let redirection = Redirection(message, askedAt: endpoint)
            else { return reply }
            return self.query(command, bytes, at: redirection, steps: steps + 1)
        }.nonisolated()
    }

    private func query(
        _ command: RedisError.Command, _ bytes: ByteBuffer, at redirection: Redirection, steps: Int
    ) -> EventLoopFuture<RedisReply> {
        context.counts.total.redirects += 1
        let link = link(to: redirection.endpoint)
        if redirection.isAsk { _ = link.query(.asking, RedisCommand.words(["ASKING"])) }
        let reply = link.query(command, bytes)
        return following(reply, askedAt: redirection.endpoint, command, bytes, steps: steps)
    }

    private func link(to endpoint: RedisURL.Endpoint) -> RedisLink {
        if let index = links.firstIndex(where: { $0.endpoint == endpoint }) {
            let entry = links.remove(at: index)
            links.append(entry)
            return entry.link
        }
        if links.count >= Self.maximumLinks { drop(links[0].endpoint) }
        let link = RedisLink(context, locator: RedisSeeds([endpoint], eventLoop: context.eventLoop)) {
            [weak self] event in
            // A node that is away may never come back; the next redirection names another.
            if case .down = event { self?.drop(endpoint) }
        }
        links.append((endpoint, link))
        link.connect()
        return link
    }

    private func drop(_ endpoint: RedisURL.Endpoint) {
        guard let index = links.firstIndex(where: { $0.endpoint == endpoint }) else { return }
        _ = links.remove(at: index).link.stop()
    }

    func stop() -> EventLoopFuture<Void> {
        isStopped = true
        let ends = links.map { $0.link.stop() }
        links.removeAll()
        return EventLoopFuture.andAllComplete(ends, on: context.eventLoop)
    }

    /// The nodes in a reply to `CLUSTER NODES`, without those that have no address or haven't joined yet.
    static func nodes(in text: String, askedAt endpoint: RedisURL.Endpoint) -> [RedisURL.Endpoint] {
        text.split(whereSeparator: \.isNewline).compactMap { line in
            let words = line.split(separator: " ")
            guard words.count >= 3 else { return nil }
            let flags = words[2].split(separator: ",")
            guard !flags.contains("noaddr"), !flags.contains("handshake") else { return nil }
            // `ip:port@busport[,hostname]`
            return RedisURL.Endpoint(words[1].prefix { $0 != "@" }, askedAt: endpoint)
        }
    }
}
