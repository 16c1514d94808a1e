import Logging
import NIOCore

/// Asks the sentinels which server is the master, before each connection and once a second all the time.
///
///     sentinel 1 … n ◀── SENTINEL GET-MASTER-ADDR-BY-NAME, one connection at a time ── this ──▶ links: locate(), moved
///
/// Asking beats listening to `+switch-master` here: an answer is true when it comes, a missed announcement would be missed
/// for good, and a sentinel that has died without a word is noticed by the same question. The master so named must also say
/// itself that it is one (`ROLE`): a sentinel that has just come back may be behind.
final class RedisSentinel: RedisLocator {
    private let service: String
    private let eventLoop: any EventLoop
    private let configuration: RedisConfiguration
    /// Called when the sentinels name another master than before, with the time up to which nobody can have known.
    private let moved: (RedisURL.Endpoint, NIODeadline) -> Void
    /// Called when no sentinel answers usefully any more, and with nil when one does again.
    private let troubled: (RedisError?) -> Void
    private var isTroubled = false
    private let link: RedisLink
    private var waiting: [EventLoopPromise<RedisURL.Endpoint>] = []
    private var isAsking = false
    private var timer: Scheduled<Void>?
    private var isStopped = false
    private var failuresInARow = 0
    private(set) var master: RedisURL.Endpoint?
    /// When the last question was asked whose answer was `master`.
    private var confirmedAt: NIODeadline?
    /// Sentinels tell each other of a new master every two seconds: others may have named it so much earlier than ours.
    private static let sentinelsDisagree = TimeAmount.seconds(3)

    let endpointCount = 1
    let wantsMaster = true

    init(
        url: RedisURL, service: String, configuration: RedisConfiguration, eventLoop: any EventLoop,
        moved: @escaping (RedisURL.Endpoint, NIODeadline) -> Void, troubled: @escaping (RedisError?) -> Void
    ) {
        self.service = service
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.moved = moved
        self.troubled = troubled
        var limits = configuration
        // A question a second needs no PING, and a sentinel that takes longer is left for the next one.
        limits.connectTimeout = min(configuration.connectTimeout, .seconds(1))
        limits.commandTimeout = min(configuration.commandTimeout, .seconds(1))
        limits.backoff.maximum = min(configuration.backoff.maximum, .seconds(1))
        limits.backoff.afterRefusal = min(configuration.backoff.afterRefusal, .seconds(2))
        link = RedisLink(
            url: url.forSentinels(), configuration: limits, eventLoop: eventLoop,
            locator: RedisSeeds(url.endpoints, eventLoop: eventLoop))
    }

    /// Counted by the connection to a sentinel.
    var counters: RedisCounters { link.counters }

    func start() {
        link.notify = { [weak self] event in self?.changed(event) }
        link.connect()
    }

    func stop() -> EventLoopFuture<Void> {
        isStopped = true
        timer?.cancel()
        fail(.shutDown)
        return link.stop()
    }

    func locate() -> EventLoopFuture<RedisURL.Endpoint> {
        guard !isStopped else { return eventLoop.makeFailedFuture(RedisError.shutDown) }
        let promise = eventLoop.makePromise(of: RedisURL.Endpoint.self)
        // Bounded: two links ask, each once at a time.
        waiting.append(promise)
        ask()
        return promise.futureResult
    }

    /// A server that is no master is what another sentinel may know better.
    func ended(at endpoint: RedisURL.Endpoint, cause: RedisError, wasReady: Bool) {
        if case .notMaster = cause { link.drop(cause) }
    }

    private func changed(_ event: RedisLink.Event) {
        switch event {
        case .ready:
            isAsking = false
            ask()
        case .down(let cause, _):
            isAsking = false
            failuresInARow += 1
            // Each has been tried: those who wait are told why, and will ask again.
            guard failuresInARow >= link.endpointCount else { return }
            if case .noMaster = cause { fail(cause) } else { fail(.noSentinel(reason: cause.description)) }
            // Before the first answer the connections say it.
            if !isTroubled, master != nil { troubled(cause) }
            isTroubled = true
        }
    }

    private func ask() {
        guard link.isReady, !isAsking, !isStopped else { return }
        isAsking = true
        timer?.cancel()
        let promise = eventLoop.makePromise(of: RedisReply.self)
        let askedAt = eventLoop.now
        promise.futureResult.assumeIsolated().whenComplete { [weak self] in self?.answered($0, askedAt: askedAt) }
        var command = ByteBuffer()
        RedisCommand.words(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", service], to: &command)
        link.send(.query(.sentinel, promise), command)
    }

    private func answered(_ result: Result<RedisReply, any Error>, askedAt: NIODeadline) {
        guard !isStopped else { return }
        isAsking = false
        switch result {
        case .success(.texts(let parts)) where parts.count == 2:
            failuresInARow = 0
            let text = parts.map { String(buffer: $0) }.joined(separator: ":")
            guard let endpoint = RedisURL.Endpoint(text[...], askedAt: link.target ?? .unixSocket(path: "")) else {
                return link.drop(
                    .malformedReply(reason: "a sentinel names the address \(RedisErrorText.printable(text.utf8))"))
            }
            learn(endpoint, askedAt: askedAt)
        case .success: link.drop(.noMaster(service: service))
        case .failure(let error as RedisError):
            // The link has ended, and says so by itself, or the sentinel does not answer.
            if case .commandTimedOut = error { link.drop(.silent) }
            if case .refused = error { link.drop(error) }
        case .failure: break
        }
        timer = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(configuration.sentinelInterval)) { [weak self] in
            self?.ask()
        }
    }

    private func learn(_ endpoint: RedisURL.Endpoint, askedAt: NIODeadline) {
        if isTroubled, master != nil { troubled(nil) }
        isTroubled = false
        let (before, since) = (master, confirmedAt ?? askedAt)
        (master, confirmedAt) = (endpoint, askedAt)
        for promise in waiting { promise.succeed(endpoint) }
        waiting.removeAll()
        if let before, before != endpoint { moved(endpoint, since - Self.sentinelsDisagree) }
    }

    private func fail(_ cause: RedisError) {
        let promises = waiting
        waiting.removeAll()
        for promise in promises { promise.fail(cause) }
    }
}
