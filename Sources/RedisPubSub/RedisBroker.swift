import Logging
import NIOCore

/// The broker that is a Redis server: one connection subscribes, a second one publishes and reads keys.
///
/// Both live on the given event loop, by TCP or unix socket, and connect again for ever: after 0.1 s, doubling up to 5 s,
/// each delay cut by up to a half at random; every 10 s when the server refuses the login or the subscription. An outage is
/// logged once when it begins, again when its cause turns into one that needs a person (a refused login, a server that is
/// no Redis, a reply over the limit), and once when it is over.
///
/// `shutdown` must be called before the broker is dropped.
package final class RedisBroker: PubSubBroker {
    package let eventLoop: any EventLoop

    private let url: RedisURL
    private let channels: [String]
    private let patterns: [String]
    private let configuration: RedisConfiguration
    private let logger: Logger
    private var subscription: RedisLink?
    private var commands: RedisLink?
    private var delegate: (any PubSubDelegate)?
    private var isShutDown = false

    private var outage: Outage
    private var subscriptionState: SubscriptionState?
    private var ownCounters = RedisCounters()

    /// A time without one of the two connections, for the log.
    private struct Outage {
        let since: NIODeadline
        /// One description for each cause that has been logged.
        var causes: [String] = []
    }

    /// - Parameters:
    ///   - channels: what to subscribe to; with none, and no patterns, there is no subscription, only commands.
    ///   - patterns: globs of channels to subscribe to (`PSUBSCRIBE`). A message of a channel that several of them name, or
    ///     that `channels` has too, comes once for each.
    ///   - eventLoop: where both connections live and all calls are made.
    package init(
        url: RedisURL, channels: [String], patterns: [String] = [], eventLoop: any EventLoop, logger: Logger,
        configuration: RedisConfiguration = .init()
    ) {
        self.url = url
        self.channels = channels
        self.patterns = patterns
        self.eventLoop = eventLoop
        self.configuration = configuration
        var logger = logger
        logger[metadataKey: "redis"] = "\(url)"
        self.logger = logger
        outage = Outage(since: eventLoop.now)
    }

    /// What both connections have done so far.
    package var counters: RedisCounters {
        var sum = ownCounters
        if let subscription { sum.add(subscription.counters) }
        if let commands { sum.add(commands.counters) }
        return sum
    }

    package func start(delegate: any PubSubDelegate) {
        guard !isShutDown, commands == nil else { return }
        self.delegate = delegate
        outage = Outage(since: eventLoop.now)
        let commands = makeLink(.commands) { $0.commandsChanged($1) }
        self.commands = commands
        if !channels.isEmpty || !patterns.isEmpty {
            let role = RedisConnection.Role.subscription(channels: channels, patterns: patterns, delegate: delegate)
            let subscription = makeLink(role) {
                $0.subscriptionChanged($1)
            }
            self.subscription = subscription
            subscription.connect()
        }
        commands.connect()
    }

    private func makeLink(
        _ role: RedisConnection.Role, notify: @escaping (RedisBroker, RedisLink.Event) -> Void
    ) -> RedisLink {
        RedisLink(role: role, url: url, configuration: configuration, eventLoop: eventLoop) { [weak self] event in
            if let self { notify(self, event) }
        }
    }

    package func publish(_ payload: ByteBuffer, to redisChannel: String) -> EventLoopFuture<Int> {
        let promise = eventLoop.makePromise(of: Int.self)
        send(.publish(promise)) { RedisCommand.publish(payload, to: redisChannel) }
        return promise.futureResult
    }

    package func get(_ key: [UInt8]) -> EventLoopFuture<ByteBuffer?> {
        let promise = eventLoop.makePromise(of: ByteBuffer?.self)
        send(.get(promise)) { RedisCommand.get(key) }
        return promise.futureResult
    }

    /// Lists the channels that somebody is subscribed to at present (`PUBSUB CHANNELS`), in the server's order.
    ///
    /// Patterns do not count as subscriptions there. Fails as `publish` does.
    package func activeChannels() -> EventLoopFuture<[ByteBuffer]> {
        let promise = eventLoop.makePromise(of: [ByteBuffer].self)
        send(.channels(promise)) { RedisCommand.channels() }
        return promise.futureResult
    }

    private func send(_ command: RedisPendingCommands.Command, _ bytes: () -> ByteBuffer) {
        guard !isShutDown else { return command.fail(.shutDown) }
        guard let commands else { return command.fail(.notConnected) }
        commands.send(command, bytes())
    }

    package func shutdown() -> EventLoopFuture<Void> {
        isShutDown = true
        delegate = nil
        let ends = [subscription, commands].compactMap { $0?.stop() }
        // The links hold the delegate too.
        ownCounters = counters
        (subscription, commands) = (nil, nil)
        return EventLoopFuture.andAllComplete(ends, on: eventLoop)
    }

    // MARK: Changes

    private func subscriptionChanged(_ event: RedisLink.Event) {
        switch event {
        case .ready:
            ownCounters.subscriptions += 1
            // First, so that a delegate can send commands at once.
            commands?.serverIsBack()
            report(.subscribed)
            noteReady()
        case .down(let cause, let wasReady):
            if wasReady { ownCounters.losses += 1 }
            noteDown(cause, wasReady: wasReady)
            // One interval per outage: failed attempts to reconnect neither begin a new one nor change its cause.
            if case .lost = subscriptionState { return }
            report(.lost(cause: cause, since: wasReady ? eventLoop.now : outage.since))
        }
    }

    private func commandsChanged(_ event: RedisLink.Event) {
        switch event {
        case .ready:
            noteReady()
            subscription?.serverIsBack()
        case .down(let cause, let wasReady): noteDown(cause, wasReady: wasReady)
        }
    }

    private func report(_ state: SubscriptionState) {
        subscriptionState = state
        delegate?.subscriptionChanged(state)
    }

    /// Both connections share a server, so they share an outage: the same cause is told once.
    private func noteDown(_ cause: RedisError, wasReady: Bool) {
        if wasReady, outage.causes.isEmpty { outage = Outage(since: eventLoop.now) }
        let text = cause.description
        // After the first cause only those that need a person: that a server which went away can't be reached is no news.
        let isNews = outage.causes.isEmpty || cause.needsAttention && outage.causes.count < 8
        guard isNews, !outage.causes.contains(text) else {
            logger.debug("Redis is still away", metadata: ["cause": "\(text)"])
            return
        }
        outage.causes.append(text)
        logger.warning("Redis is away, trying again until it is back", metadata: ["cause": "\(text)"])
    }

    private func noteReady() {
        guard subscription?.isReady ?? true, commands?.isReady ?? false else { return }
        if outage.causes.isEmpty {
            logger.info("Connected to Redis", metadata: ["channels": "\((channels + patterns).joined(separator: " "))"])
        } else {
            let seconds = (eventLoop.now - outage.since).nanoseconds / 1_000_000_000
            logger.notice("Redis is back", metadata: ["away_seconds": "\(seconds)"])
        }
        outage.causes = []
    }
}
