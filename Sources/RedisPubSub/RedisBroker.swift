import Logging
import NIOCore

/// The broker that is Redis or Valkey: one connection subscribes, a second one publishes and reads keys.
///
/// Both go to the same server, the master that sentinels name, or any node of a cluster, where plain pub/sub reaches every
/// node. They live on the given event loop and connect again for ever: after 0.1 s, doubling up to 5 s, each delay cut by up
/// to a half at random; every 10 s when the server refuses the login or the subscription. An outage is logged when it begins,
/// and when it is over; with each new cause, and with the present one once a minute. That a server can't be reached is a new
/// cause from the first second on.
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
    /// Where both find their server.
    private var locator: (any RedisLocator)?
    private let redirects: RedisRedirects
    private var watch: RedisServerWatch?
    /// The subscription at a master that has been replaced.
    private var lingering: RedisLink?
    private var lingerTimer: Scheduled<Void>?
    /// Beside `lingering`, at the same server: its end tells that the server is no master any more.
    private var witness: RedisLink?
    private var delegate: (any PubSubDelegate)?
    private var isShutDown = false
    /// Whether the server has not refused GETRANGE since the last connection.
    private var permitsRanges = true

    /// When the outage began that lasts, or the broker started.
    private var outageSince: NIODeadline
    /// Nil while all is well, and at the start.
    private var outage: RedisOutage?
    private var saidCauses = RepeatLimit()
    private var subscriptionState: SubscriptionState?
    private var ownCounters = RedisCounters()
    /// The last loss, until it is explained.
    private var loss: Loss?

    private struct Loss {
        let cause: RedisError
        let since: NIODeadline
        /// When the subscription came back.
        var until: NIODeadline?
        let noticed: NIODeadline
        let endpoint: RedisURL.Endpoint?
        let wasWithinReply: Bool
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
        var configuration = configuration
        configuration.apply(url.options)
        configuration.rights = RedisRights(user: url.user, channels: channels + patterns)
        self.configuration = configuration
        redirects = RedisRedirects(url: url, configuration: configuration, eventLoop: eventLoop)
        var logger = logger
        logger[metadataKey: "redis"] = "\(url)"
        self.logger = logger
        outageSince = eventLoop.now
    }

    /// What both connections have done so far.
    package var counters: RedisCounters {
        var sum = ownCounters
        if let subscription { sum.add(subscription.counters) }
        if let commands { sum.add(commands.counters) }
        if let sentinel { sum.add(sentinel.counters) }
        if let lingering { sum.add(lingering.counters) }
        if let witness { sum.add(witness.counters) }
        sum.add(redirects.counters)
        return sum
    }

    package func start(delegate: any PubSubDelegate) {
        guard !isShutDown, commands == nil else { return }
        self.delegate = delegate
        outageSince = eventLoop.now
        locator = makeLocator()
        let commands = makeLink(.commands) { $0.commandsChanged($1) }
        self.commands = commands
        connectSubscription()
        commands.connect()
        sentinel?.start()
    }

    private func connectSubscription() {
        guard let delegate, let commands, !channels.isEmpty || !patterns.isEmpty else { return }
        let role = RedisConnection.Role.subscription(channels: channels, patterns: patterns, delegate: delegate)
        let subscription = makeLink(role) { $0.subscriptionChanged($1) }
        self.subscription = subscription
        watch?.stop()
        watch = makeWatch(subscription, commands)
        if commands.isReady, let endpoint = commands.target { commandsAreReady(at: endpoint) }
        subscription.connect()
    }

    private var sentinel: RedisSentinel? { locator as? RedisSentinel }

    private func makeLocator() -> any RedisLocator {
        guard case .sentinel(let service) = url.topology else { return RedisSeeds(url.endpoints, eventLoop: eventLoop) }
        // As python-socketio: a service without a name is named as the channel.
        let name = service ?? channels.first ?? "flask-socketio"
        let logger = logger
        return RedisSentinel(
            url: url, service: name, configuration: configuration, eventLoop: eventLoop,
            moved: { [weak self] in self?.follow($0, since: $1) },
            troubled: { cause in
                guard let cause else { return logger.notice("A sentinel answers again") }
                logger.warning(
                    "No sentinel names the master, a failover would not be noticed", metadata: ["cause": "\(cause)"])
            })
    }

    /// Goes to the new master at once. Emitters may publish at the old one until a sentinel demotes it, so it is listened to
    /// until then; no message comes twice, since the two are not connected before, and the sentinel cuts us off with the
    /// same transaction that connects them.
    private func follow(_ master: RedisURL.Endpoint, since: NIODeadline) {
        ownCounters.failovers += 1
        logger.notice("Another master is followed", metadata: ["master": "\(master)"])
        let cause = RedisError.failedOver(to: "\(master)")
        if commands?.target != master || commands?.isReady == false { commands?.leave(cause) }
        if lingering?.target == master { dropLingering() }
        guard let old = subscription, old.target != master || !old.isReady else { return }
        guard old.isReady else { return old.leave(cause) }
        dropLingering()
        old.retire()
        lingering = old
        if let target = old.target { watchDemotion(of: target) }
        lingerTimer = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(configuration.lingerTime)) { [weak self] in
            self?.dropLingering()
        }
        ownCounters.losses += 1
        noteLoss(cause, since: min(since, old.provenUntilNow ?? since))
        connectSubscription()
    }

    /// The sentinels of Redis 5 cut off the clients of a master that they demote, but not its subscribers, whom it then
    /// serves, as a replica, with what is published at the new one. So another client waits there to be cut off.
    private func watchDemotion(of master: RedisURL.Endpoint) {
        let locator = RedisSeeds([master], eventLoop: eventLoop, wantsMaster: true)
        let link = RedisLink(
            role: .commands, url: url, configuration: configuration, eventLoop: eventLoop, locator: locator
        ) { [weak self] event in
            switch event {
            case .down(cause: .notMaster, _), .down(_, wasReady: true): self?.dropLingering()
            case .ready, .down: break
            }
        }
        witness = link
        link.connect()
    }

    private func dropLingering() {
        lingerTimer?.cancel()
        let links = [lingering, witness].compactMap { $0 }
        (lingering, witness) = (nil, nil)
        for link in links {
            _ = link.stop()
            ownCounters.add(link.counters)
        }
    }

    private func makeWatch(_ subscription: RedisLink, _ commands: RedisLink) -> RedisServerWatch {
        RedisServerWatch(
            eventLoop: eventLoop, interval: configuration.watchInterval, logger: logger,
            subject: { [weak subscription, weak commands] in
                guard let subscription, let commands, commands.isReady, commands.target == subscription.target else {
                    return (nil, nil)
                }
                return (subscription.clientID, commands.target)
            },
            send: { [weak commands] command, bytes in
                guard let connection = commands?.connection else { return command.fail(.notConnected) }
                connection.sendInternal(command, bytes)
            })
    }

    /// What the server allows to wait for the subscription; Redis's defaults until it has said so.
    package var outputBufferLimit: RedisOutputBufferLimit { watch?.limit ?? RedisOutputBufferLimit() }

    private func makeLink(
        _ role: RedisConnection.Role, notify: @escaping (RedisBroker, RedisLink.Event) -> Void
    ) -> RedisLink {
        RedisLink(role: role, url: url, configuration: configuration, eventLoop: eventLoop, locator: locator) {
            [weak self] event in
            if let self { notify(self, event) }
        }
    }

    package func publish(_ payload: ByteBuffer, to redisChannel: String) -> EventLoopFuture<Int> {
        let promise = eventLoop.makePromise(of: Int.self)
        send(.publish(promise)) { RedisCommand.publish(payload, to: redisChannel) }
        return promise.futureResult
    }

    package func publish(_ batch: RedisPublishBatch) -> EventLoopFuture<Void> {
        guard batch.messageCount > 0 else { return eventLoop.makeSucceededVoidFuture() }
        let promise = eventLoop.makePromise(of: Void.self)
        send(.publishes(batch, promise)) { batch.commands }
        return promise.futureResult
    }

    package func obstacle(toPublishing byteCount: Int) -> RedisError? {
        guard let commands, !isShutDown else { return .notConnected }
        return commands.obstacle(toSending: byteCount)
    }

    package func get(_ key: [UInt8], upTo limit: Int) -> EventLoopFuture<ByteBuffer?> {
        guard permitsRanges else { return get(RedisCommand.get(key)) }
        let beginning = get(RedisCommand.get(key, upTo: limit))
        return beginning.assumeIsolated().flatMapError { [weak self] error in
            guard let self, !self.isShutDown, case RedisError.refused(.get, let message) = error,
                message.contains("to run") || message.hasPrefix("ERR unknown")
            else { return beginning }
            self.permitsRanges = false
            return self.get(RedisCommand.get(key))
        }.nonisolated()
    }

    private func get(_ command: ByteBuffer) -> EventLoopFuture<ByteBuffer?> {
        let promise = eventLoop.makePromise(of: ByteBuffer?.self)
        send(.get(promise)) { command }
        let endpoint = commands?.target ?? url.endpoint
        return promise.futureResult.assumeIsolated().flatMapError { [weak self] error in
            guard let self, !self.isShutDown, case RedisError.refused(.get, let message) = error,
                let redirection = RedisRedirects.Redirection(message, askedAt: endpoint)
            else { return promise.futureResult }
            return self.redirects.get(command, from: redirection)
        }.nonisolated()
    }

    /// Reads a key, which gets a value first when it has none. Needs the right to `EVAL`. Fails as `get` does.
    package func get(_ key: [UInt8], orSet value: [UInt8]) -> EventLoopFuture<ByteBuffer?> {
        let promise = eventLoop.makePromise(of: ByteBuffer?.self)
        send(.get(promise)) { RedisCommand.get(key, orSet: value) }
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
        watch?.stop()
        dropLingering()
        var ends = [subscription, commands].compactMap { $0?.stop() } + [redirects.stop()]
        if let sentinel { ends.append(sentinel.stop()) }
        // The links hold the delegate too.
        ownCounters = counters
        (subscription, commands, locator, watch) = (nil, nil, nil, nil)
        return EventLoopFuture.andAllComplete(ends, on: eventLoop)
    }

    // MARK: Changes

    private func subscriptionChanged(_ event: RedisLink.Event) {
        switch event {
        case .ready:
            ownCounters.subscriptions += 1
            loss?.until = eventLoop.now
            // First, so that a delegate can send commands at once.
            commands?.serverIsBack()
            report(.subscribed)
            noteReady()
            explainLoss()
            watch?.beginAnew()
        case .down(let cause, let wasReady):
            if wasReady { ownCounters.losses += 1 }
            noteDown(cause, wasReady: wasReady)
            // One interval per outage: failed attempts to reconnect neither begin a new one nor change its cause.
            noteLoss(cause, since: wasReady ? subscription?.provenUntil ?? eventLoop.now : outageSince)
        }
    }

    private func noteLoss(_ cause: RedisError, since: NIODeadline) {
        if case .lost = subscriptionState { return }
        // The one before could not be asked about in time.
        if let earlier = loss { conclude(earlier, nil) }
        loss = Loss(
            cause: cause, since: since, noticed: eventLoop.now, endpoint: subscription?.target,
            wasWithinReply: subscription?.hasEndedWithinReply ?? false)
        report(.lost(cause: cause, since: since))
    }

    private func commandsChanged(_ event: RedisLink.Event) {
        switch event {
        case .ready:
            permitsRanges = true
            explainLoss()
            if let endpoint = commands?.target { commandsAreReady(at: endpoint) }
            noteReady()
            subscription?.serverIsBack()
        // A master that was left for another is not away.
        case .down(.failedOver, _): break
        case .down(let cause, let wasReady): noteDown(cause, wasReady: wasReady)
        }
    }

    private func commandsAreReady(at endpoint: RedisURL.Endpoint) {
        watch?.commandsAreReady(at: endpoint) { [weak self] in self?.delegate?.outputBufferLimitChanged($0) }
        guard let seeds = locator as? RedisSeeds, case .cluster = url.topology, let connection = commands?.connection
        else { return }
        let promise = eventLoop.makePromise(of: RedisReply.self)
        promise.futureResult.assumeIsolated().whenSuccess { reply in
            guard case .bulk(let text) = reply else { return }
            seeds.learn(RedisRedirects.nodes(in: String(buffer: text), askedAt: endpoint))
        }
        var buffer = ByteBuffer()
        RedisCommand.words(["CLUSTER", "NODES"], to: &buffer)
        connection.sendInternal(.query(.cluster, promise), buffer)
    }

    /// Once both connections are back: asks the server that was lost, if it is the same one, what it knows of it.
    private func explainLoss() {
        guard let loss, let watch, let subscription, subscription.isReady, let commands, commands.isReady else {
            return
        }
        self.loss = nil
        guard loss.cause == .closedByServer || loss.cause.isBroken, commands.target == loss.endpoint,
            let endpoint = loss.endpoint
        else { return conclude(loss, nil) }
        let wasAlone = commands.readySince.map { $0 < loss.noticed } ?? false
        watch.explain(at: endpoint, wasWithinReply: loss.wasWithinReply, wasAlone: wasAlone) { [weak self] in
            self?.conclude(loss, $0)
        }
    }

    /// - Parameter better: the cause that the server knows, if it does.
    private func conclude(_ loss: Loss, _ better: RedisError?) {
        if case .outputBufferFull = better { ownCounters.outputBufferLosses += 1 }
        let (cause, until) = (better ?? loss.cause, loss.until ?? eventLoop.now)
        var facts: Logger.Metadata = [
            "cause": "\(cause)", "from": "\(WallClock.text(WallClock.milliseconds(loss.since)))",
            "to": "\(WallClock.text(WallClock.millisecondsRoundedUp(until)))",
        ]
        // That a server was away or restarted has been said; that it ended a subscription and why has not.
        let isNews = cause == .closedByServer || better != nil && cause != .restarted
        if cause == .closedByServer { facts["possibly"] = "CLIENT KILL, or \(outputBufferLimit)" }
        logger.log(level: isNews ? .warning : .debug, "The subscription was lost", metadata: facts)
        delegate?.subscriptionLossExplained(SubscriptionLoss(cause: cause, since: loss.since, until: until))
    }

    private func report(_ state: SubscriptionState) {
        subscriptionState = state
        delegate?.subscriptionChanged(state)
    }

    /// Both connections share a server, so they share an outage: the same cause is told once a minute.
    private func noteDown(_ cause: RedisError, wasReady: Bool) {
        let isFirst = outage == nil
        if wasReady, isFirst { outageSince = eventLoop.now }
        let outage = RedisOutage(since: outageSince, cause: cause)
        self.outage = outage
        delegate?.outageChanged(outage)
        // That a server which ends can't be reached then is news only if it stays so.
        guard isFirst || !cause.isOfServerAway || eventLoop.now - outageSince >= Self.shortOutage,
            saidCauses.isDue("\(cause)", at: eventLoop.now)
        else { return }
        logger.warning(
            "Redis is away, trying again until it is back",
            metadata: ["cause": "\(cause)", "away_seconds": "\(awaySeconds)"])
    }

    /// As long as a server may take to restart.
    private static let shortOutage = TimeAmount.seconds(1)

    private var awaySeconds: Int64 { (eventLoop.now - outageSince).nanoseconds / 1_000_000_000 }

    private func noteReady() {
        guard subscription?.isReady ?? true, commands?.isReady ?? false else { return }
        if outage == nil {
            logger.info("Connected to Redis", metadata: ["channels": "\((channels + patterns).joined(separator: " "))"])
        } else {
            logger.notice("Redis is back", metadata: ["away_seconds": "\(awaySeconds)"])
            delegate?.outageChanged(nil)
        }
        outage = nil
        saidCauses = RepeatLimit()
    }
}
