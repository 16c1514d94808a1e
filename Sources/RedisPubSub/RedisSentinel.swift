import Logging
import NIOCore

/// Asks the sentinels which server is the master, before each connection and once a second.
///
///     sentinel 1 … n ◀── SENTINEL GET-MASTER-ADDR-BY-NAME, one connection at a time ── this ──▶ links: locate(), moved
///
/// It asks instead of listening to `+switch-master`, because a missed announcement would be missed for good, and because the
/// same question shows that a sentinel has died. The master must also say itself that it is one (`ROLE`), since a sentinel
/// that has just come back may be behind.
final class RedisSentinel: RedisLocator {
    private let service: String
    private let context: RedisContext
    /// Called when the sentinels name another master than before, with the time until which no sentinel can have named it.
    private let moved: (RedisURL.Endpoint, NIODeadline) -> Void
    /// True if no sentinel has named the master in the last round of questions.
    private var isUnknown = false
    private let seeds: RedisSeeds
    private let link: RedisLink
    private var waitingPromises: [EventLoopPromise<RedisURL.Endpoint>] = []
    private var isAsking = false
    private var timer: Scheduled<Void>?
    private var isStopped = false
    private var failuresInARow = 0
    private(set) var master: RedisURL.Endpoint?
    /// When the last question was asked that had `master` as its reply.
    private var confirmedAt: NIODeadline?
    /// Sentinels tell each other of a new master every two seconds, so others may have named it this much earlier than ours.
    private static let sentinelsDisagree = TimeAmount.seconds(3)

    let endpointCount = 1
    let wantsMaster = true

    init(
        _ context: RedisContext, service: String, moved: @escaping (RedisURL.Endpoint, NIODeadline) -> Void
    ) {
        self.context = context
        self.service = service
        self.moved = moved
        seeds = RedisSeeds(context.url.endpoints, eventLoop: context.eventLoop)
        var own = context
        own.url = context.url.forSentinels()
        own.configuration.limitForSentinels()
        link = RedisLink(own, locator: seeds)
    }

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
        guard !isStopped else { return context.eventLoop.makeFailedFuture(RedisError.shutDown) }
        let promise = context.eventLoop.makePromise(of: RedisURL.Endpoint.self)
        // Their number is bounded: two links ask, each once at a time.
        waitingPromises.append(promise)
        ask()
        return promise.futureResult
    }

    /// When the server is no master, another sentinel may name a better one.
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
            // Each sentinel has been tried: the waiting links fail with the cause, and will ask again.
            guard failuresInARow >= seeds.endpointCount else { return }
            if case .noMaster = cause { fail(cause) } else { fail(.noSentinel(reason: cause.description)) }
            // Before the first reply the connections report it.
            if !isUnknown, master != nil {
                context.logger.warning(
                    "No sentinel names the master, a failover would not be noticed", metadata: ["cause": "\(cause)"])
            }
            isUnknown = true
        }
    }

    private func ask() {
        guard link.isReady, !isAsking, !isStopped else { return }
        isAsking = true
        timer?.cancel()
        let askedAt = context.eventLoop.now
        let command = RedisCommand.words(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", service])
        link.query(.sentinel, command).assumeIsolated().whenComplete { [weak self] in
            self?.received($0, askedAt: askedAt)
        }
    }

    private func received(_ result: Result<RedisReply, any Error>, askedAt: NIODeadline) {
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
            // A link that has ended reports that by itself; otherwise the sentinel doesn't reply.
            if case .commandTimedOut = error { link.drop(.silent) }
            if case .refused = error { link.drop(error) }
        case .failure: break
        }
        timer = context.schedule(in: context.configuration.sentinelInterval) { [weak self] in self?.ask() }
    }

    private func learn(_ endpoint: RedisURL.Endpoint, askedAt: NIODeadline) {
        if isUnknown, master != nil { context.logger.notice("A sentinel replies again") }
        isUnknown = false
        let (before, since) = (master, confirmedAt ?? askedAt)
        (master, confirmedAt) = (endpoint, askedAt)
        for promise in waitingPromises { promise.succeed(endpoint) }
        waitingPromises.removeAll()
        if let before, before != endpoint { moved(endpoint, since - Self.sentinelsDisagree) }
    }

    private func fail(_ cause: RedisError) {
        let promises = waitingPromises
        waitingPromises.removeAll()
        for promise in promises { promise.fail(cause) }
    }
}
