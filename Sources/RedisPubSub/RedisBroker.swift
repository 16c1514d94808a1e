import Logging
import NIOCore

/// A broker on Redis or Valkey: one connection subscribes, a second one publishes and reads keys.
///
///     locator ─ names the server ─▶ subscription, commands: RedisLink ─ connect again ─▶ RedisConnection
///     watch   ─ asks over `commands` for the output that waits, and for the cause of a loss
///
/// Both connections lead to the same server: the URL's, the master that sentinels name, or any node of a cluster, where plain
/// pub/sub reaches every node. They connect again for ever: after 0.1 s, doubling up to 5 s, each delay reduced by up to a half
/// at random; every 10 s when the server refuses the login or the subscription.
/// Call `shutdown` before the broker is released.
package final class RedisBroker: PubSubBroker {
    package let eventLoop: any EventLoop

    private let context: RedisContext
    private let channels: [String]
    private let patterns: [String]
    private var delegate: (any PubSubDelegate)?
    private(set) var isShutDown = false

    /// Where both links find their server.
    private var locator: (any RedisLocator)?
    private var subscription: RedisLink?
    private(set) var commands: RedisLink?
    private var formerMaster: RedisFormerMaster?
    private var watch: RedisServerWatch?
    let keys: RedisKeyCommands

    private var outages: RedisOutageLog
    private var subscriptionState: SubscriptionState?
    /// The last loss, until its cause is known.
    private var loss: RedisUnexplainedLoss?

    /// - Parameters:
    ///   - channels: the channels to subscribe to. Without any, and without patterns, the broker only sends commands.
    ///   - patterns: globs of channels to subscribe to (`PSUBSCRIBE`). A message is received once for each pattern that
    ///     matches its channel, and once more if `channels` contains it.
    ///   - eventLoop: where both connections live and all calls are made.
    package init(
        url: RedisURL, channels: [String], patterns: [String] = [], eventLoop: any EventLoop, logger: Logger,
        configuration: RedisConfiguration = .init()
    ) {
        self.channels = channels
        self.patterns = patterns
        self.eventLoop = eventLoop
        var configuration = configuration
        configuration.apply(url.options)
        configuration.rights = RedisRights(user: url.user, channels: channels + patterns)
        var logger = logger
        logger[metadataKey: "redis"] = "\(url)"
        context = RedisContext(url: url, configuration: configuration, eventLoop: eventLoop, logger: logger)
        keys = RedisKeyCommands(context)
        outages = RedisOutageLog(logger: logger, start: eventLoop.now)
    }

    package var counters: RedisCounters { context.counts.total }

    package func start(delegate: any PubSubDelegate) {
        if !isShutDown { self.delegate = delegate }
        start()
    }

    /// Connects without a delegate, for commands only.
    package func start() {
        guard !isShutDown, commands == nil else { return }
        outages = RedisOutageLog(logger: context.logger, start: eventLoop.now)
        let locator = makeLocator()
        self.locator = locator
        let commands = makeLink(nil, locator) { $0.commandsChanged($1) }
        self.commands = commands
        connectSubscription()
        commands.connect()
        sentinel?.start()
    }

    private func connectSubscription() {
        guard let delegate, let commands, let locator, !channels.isEmpty || !patterns.isEmpty else { return }
        let subscribed = RedisSubscription(channels: channels, patterns: patterns, delegate: delegate)
        let subscription = makeLink(subscribed, locator) { $0.subscriptionChanged($1) }
        self.subscription = subscription
        watch?.stop()
        watch = RedisServerWatch(context, subscription: subscription, commands: commands)
        if commands.isReady, let endpoint = commands.target { commandsAreReady(at: endpoint) }
        subscription.connect()
    }

    private var sentinel: RedisSentinel? { locator as? RedisSentinel }

    private func makeLocator() -> any RedisLocator {
        guard case .sentinel(let service) = context.url.topology else {
            return RedisSeeds(context.url.endpoints, eventLoop: eventLoop)
        }
        // As in python-socketio the channel names a service that the URL doesn't name.
        let name = service ?? channels.first ?? "flask-socketio"
        return RedisSentinel(context, service: name) { [weak self] in self?.follow($0, since: $1) }
    }

    /// Goes to the new master at once, and keeps the subscription at the old one for a while.
    private func follow(_ master: RedisURL.Endpoint, since: NIODeadline) {
        context.counts.total.failovers += 1
        context.logger.notice("Another master is followed", metadata: ["master": "\(master)"])
        let cause = RedisError.failedOver(to: "\(master)")
        if commands?.target != master || commands?.isReady == false { commands?.leave(cause) }
        if formerMaster?.endpoint == master { leaveFormerMaster() }
        guard let old = subscription, old.target != master || !old.isReady else { return }
        guard old.isReady else { return old.leave(cause) }
        leaveFormerMaster()
        formerMaster = RedisFormerMaster(subscription: old, context) { [weak self] in self?.leaveFormerMaster() }
        context.counts.total.losses += 1
        noteLoss(cause, since: min(since, old.provenUntilNow ?? since))
        connectSubscription()
    }

    private func leaveFormerMaster() {
        formerMaster?.leave()
        formerMaster = nil
    }

    /// The server's limit on the output that waits for the subscription; Redis's default until it is known.
    package var outputBufferLimit: RedisOutputBufferLimit { watch?.limit ?? RedisOutputBufferLimit() }

    private func makeLink(
        _ subscription: RedisSubscription?, _ locator: any RedisLocator,
        notify: @escaping (RedisBroker, RedisLink.Event) -> Void
    ) -> RedisLink {
        RedisLink(context, subscription: subscription, locator: locator) { [weak self] event in
            if let self { notify(self, event) }
        }
    }

    package func shutdown() -> EventLoopFuture<Void> {
        isShutDown = true
        delegate = nil
        watch?.stop()
        leaveFormerMaster()
        var ends = [subscription, commands].compactMap { $0?.stop() } + [keys.stop()]
        if let sentinel { ends.append(sentinel.stop()) }
        // The links retain the delegate too.
        (subscription, commands, locator, watch) = (nil, nil, nil, nil)
        return EventLoopFuture.andAllComplete(ends, on: eventLoop)
    }

    private func subscriptionChanged(_ event: RedisLink.Event) {
        switch event {
        case .ready:
            context.counts.total.subscriptions += 1
            loss?.until = eventLoop.now
            // First, so that a delegate can send commands at once.
            commands?.serverIsBack()
            report(.subscribed)
            noteReady()
            explainLoss()
            watch?.beginAnew()
        case .down(let cause, let wasReady):
            if wasReady { context.counts.total.losses += 1 }
            noteDown(cause, wasReady: wasReady)
            // One interval for each outage: failed attempts to reconnect neither begin a new one nor change its cause.
            noteLoss(cause, since: wasReady ? subscription?.provenUntil ?? eventLoop.now : outages.since)
        }
    }

    private func commandsChanged(_ event: RedisLink.Event) {
        switch event {
        case .ready:
            keys.commandsAreReady()
            explainLoss()
            if let endpoint = commands?.target { commandsAreReady(at: endpoint) }
            noteReady()
            subscription?.serverIsBack()
        // A master that was left for another one is not away.
        case .down(.failedOver, _): break
        case .down(let cause, let wasReady): noteDown(cause, wasReady: wasReady)
        }
    }

    private func commandsAreReady(at endpoint: RedisURL.Endpoint) {
        watch?.commandsAreReady(at: endpoint) { [weak self] in self?.delegate?.outputBufferLimitChanged($0) }
        guard case .cluster = context.url.topology, let connection = commands?.connection else { return }
        (locator as? RedisSeeds)?.learnNodes(over: connection, to: endpoint)
    }

    private func noteDown(_ cause: RedisError, wasReady: Bool) {
        let outage = outages.connectionIsDown(cause, wasReady: wasReady, at: eventLoop.now)
        delegate?.outageChanged(outage)
    }

    private func noteReady() {
        guard subscription?.isReady ?? true, commands?.isReady ?? false else { return }
        if outages.connectionsAreUp(channels + patterns, at: eventLoop.now) { delegate?.outageChanged(nil) }
    }

    private func noteLoss(_ cause: RedisError, since: NIODeadline) {
        if case .lost = subscriptionState { return }
        // There was no time to ask the server for the cause of the previous loss.
        if let earlier = loss { conclude(earlier, nil) }
        loss = RedisUnexplainedLoss(
            cause: cause, since: since, noticed: eventLoop.now, endpoint: subscription?.target,
            wasWithinReply: subscription?.hasEndedWithinReply ?? false)
        report(.lost(cause: cause, since: since))
    }

    private func report(_ state: SubscriptionState) {
        subscriptionState = state
        delegate?.subscriptionChanged(state)
    }

    /// Asks the server for the cause of the last loss, once both connections are back, if they lead to the same server.
    private func explainLoss() {
        guard let loss, let watch, let subscription, subscription.isReady, let commands, commands.isReady else {
            return
        }
        self.loss = nil
        guard let endpoint = loss.serverToAsk(connectedTo: commands.target) else { return conclude(loss, nil) }
        let wasAlone = commands.readySince.map { $0 < loss.noticed } ?? false
        watch.explain(at: endpoint, wasWithinReply: loss.wasWithinReply, wasAlone: wasAlone) { [weak self] in
            self?.conclude(loss, $0)
        }
    }

    private func conclude(_ loss: RedisUnexplainedLoss, _ better: RedisError?) {
        if case .outputBufferFull = better { context.counts.total.outputBufferLosses += 1 }
        let explained = loss.explained(by: better, at: eventLoop.now, outputBufferLimit, context.logger)
        delegate?.subscriptionLossExplained(explained)
    }
}
