import Logging
import NIOCore

/// Reads keys from the nodes of a cluster that `MOVED` and `ASK` point to, over a few connections kept open.
final class RedisRedirects {
    /// Where a node of a cluster says that a key is.
    struct Redirection: Equatable {
        let endpoint: RedisURL.Endpoint
        /// The slot is being moved there: the node answers only after ASKING.
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

    /// So many redirections in a row are followed; a cluster that reorganises itself answers with one or two.
    static let maximumSteps = 5
    /// Connections to nodes; the one used longest ago gives way.
    static let maximumLinks = 16

    private let url: RedisURL
    private let configuration: RedisConfiguration
    private let eventLoop: any EventLoop
    private var links: [(endpoint: RedisURL.Endpoint, link: RedisLink)] = []
    private(set) var counters = RedisCounters()

    init(url: RedisURL, configuration: RedisConfiguration, eventLoop: any EventLoop) {
        self.url = url
        self.configuration = configuration
        self.eventLoop = eventLoop
    }

    /// - Parameter command: reads the key.
    func get(_ command: ByteBuffer, from redirection: Redirection) -> EventLoopFuture<ByteBuffer?> {
        get(command, from: redirection, steps: 1)
    }

    private func get(_ command: ByteBuffer, from redirection: Redirection, steps: Int) -> EventLoopFuture<ByteBuffer?> {
        counters.redirects += 1
        let link = link(to: redirection.endpoint)
        if redirection.isAsk {
            var asking = ByteBuffer()
            RedisCommand.words(["ASKING"], to: &asking)
            link.send(.query(.asking, eventLoop.makePromise()), asking)
        }
        let promise = eventLoop.makePromise(of: ByteBuffer?.self)
        link.send(.get(promise), command)
        let here = redirection.endpoint
        return promise.futureResult.assumeIsolated().flatMapError { [weak self] error in
            guard let self, steps < Self.maximumSteps, case RedisError.refused(.get, let message) = error,
                let next = Redirection(message, askedAt: here)
            else { return promise.futureResult }
            return self.get(command, from: next, steps: steps + 1)
        }.nonisolated()
    }

    private func link(to endpoint: RedisURL.Endpoint) -> RedisLink {
        if let index = links.firstIndex(where: { $0.endpoint == endpoint }) {
            let entry = links.remove(at: index)
            links.append(entry)
            return entry.link
        }
        if links.count >= Self.maximumLinks { drop(links[0].endpoint) }
        let link = RedisLink(
            role: .commands, url: url, configuration: configuration, eventLoop: eventLoop,
            locator: RedisSeeds([endpoint], eventLoop: eventLoop)
        ) { [weak self] event in
            // A node that went away may never come back; the next redirection says where to go.
            if case .down = event { self?.drop(endpoint) }
        }
        links.append((endpoint, link))
        link.connect()
        return link
    }

    private func drop(_ endpoint: RedisURL.Endpoint) {
        guard let index = links.firstIndex(where: { $0.endpoint == endpoint }) else { return }
        let link = links.remove(at: index).link
        counters.add(link.counters)
        _ = link.stop()
    }

    func stop() -> EventLoopFuture<Void> {
        let ends = links.map { $0.link.stop() }
        links.removeAll()
        return EventLoopFuture.andAllComplete(ends, on: eventLoop)
    }

    /// The nodes that a reply to `CLUSTER NODES` names, without those that have no address or are not in yet.
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
