import NIOCore
import NIOPosix

/// Keeps one connection to Redis up: connects, and after each loss connects again with backoff, until it is stopped.
final class RedisLink {
    /// An event for the owner, reported on the event loop.
    enum Event {
        case ready
        /// The connection ended, or none could be made; `wasReady` tells which. Another attempt is already planned.
        case down(cause: RedisError, wasReady: Bool)
    }

    /// The link's connections count here too.
    var counters = RedisCounters()

    private let subscription: RedisSubscription?
    private let url: RedisURL
    private let configuration: RedisConfiguration
    private let eventLoop: any EventLoop
    private let locator: any RedisLocator
    var notify: ((Event) -> Void)?

    private(set) var connection: RedisConnection?
    /// The server of `connection`, or of the last one.
    private(set) var target: RedisURL.Endpoint?
    /// Of the last subscription that ended: all messages published before this time have arrived.
    private(set) var provenUntil: NIODeadline?
    /// Whether the last connection ended within a reply.
    private(set) var hasEndedWithinReply = false
    /// When `connection` became ready.
    private(set) var readySince: NIODeadline?
    private var namesUser = false
    private var failuresInARow = 0
    private var retryTimer: Scheduled<Void>?
    private var lastCauseIsRefusal = false
    private var isStopped = false
    private var isRetired = false

    init(
        subscription: RedisSubscription? = nil, url: RedisURL, configuration: RedisConfiguration,
        eventLoop: any EventLoop, locator: (any RedisLocator)? = nil, notify: ((Event) -> Void)? = nil
    ) {
        self.subscription = subscription
        self.url = url
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.locator = locator ?? RedisSeeds(url.endpoints, eventLoop: eventLoop)
        self.notify = notify
    }

    var endpointCount: Int { locator.endpointCount }

    var isReady: Bool { readySince != nil }

    /// Makes one attempt to connect; after a failure the link makes the next one by itself.
    ///
    /// - Parameter withUser: whether to log in as the URL's user; Redis has users since release 6.
    func connect(withUser: Bool = true) {
        guard !isStopped, connection == nil else { return }
        retryTimer = nil
        counters.connectionAttempts += 1
        var url = url
        if !withUser { url.user = nil }
        let connection = RedisConnection(
            subscription: subscription, url: url, configuration: configuration, eventLoop: eventLoop, owner: self,
            wantsMaster: locator.wantsMaster)
        namesUser = url.user != nil
        self.connection = connection
        connection.start()
        locator.locate().assumeIsolated().whenComplete { result in
            switch result {
            case .success(let endpoint): self.connect(connection, to: endpoint)
            case .failure(let error): connection.end(error as? RedisError ?? .connecting(error))
            }
        }
    }

    private func connect(_ connection: RedisConnection, to endpoint: RedisURL.Endpoint) {
        guard !connection.isClosed else { return }
        target = endpoint
        connection.endpoint = endpoint
        bootstrap(endpoint).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): self.attach(connection, to: channel)
            case .failure(let error): connection.end(.connecting(error))
            }
        }
    }

    private func bootstrap(_ endpoint: RedisURL.Endpoint) -> EventLoopFuture<any Channel> {
        var bootstrap = ClientBootstrap(group: eventLoop).connectTimeout(TimeAmount(configuration.connectTimeout))
        if url.options.isKeptAlive { bootstrap = bootstrap.channelOption(.socketOption(.so_keepalive), value: 1) }
        switch endpoint {
        case .tcp(let host, let port): return bootstrap.connect(host: host, port: port)
        case .unixSocket(let path): return bootstrap.connect(unixDomainSocketPath: path)
        }
    }

    /// Adds the handler after connecting: a host with several addresses is tried by several channels, and the channel
    /// reads nothing before this runs, on the same turn of the loop.
    private func attach(_ connection: RedisConnection, to channel: any Channel) {
        guard !connection.isClosed else { return channel.close(promise: nil) }
        do {
            if let tls = url.options.tls, let endpoint = connection.endpoint {
                try channel.pipeline.syncOperations.addHandler(tls.makeHandler(for: endpoint))
            }
            try channel.pipeline.syncOperations.addHandler(connection)
        } catch {
            channel.close(promise: nil)
            connection.end((error as? RedisURLError).map { .tls(reason: $0.description) } ?? .reading(error))
        }
    }

    /// Ends the connection; the link makes the next attempt by itself.
    func drop(_ cause: RedisError) {
        connection?.end(cause)
    }

    /// Ends the connection, or the wait for the next one, and makes another attempt at once.
    func leave(_ cause: RedisError) {
        guard !isStopped else { return }
        connection?.end(cause)
        guard connection == nil else { return }
        retryTimer?.cancel()
        connect()
    }

    /// Ends the wait for the next attempt, since the other connection has reached the server again.
    func serverIsBack() {
        guard let retryTimer, connection == nil, !lastCauseIsRefusal else { return }
        retryTimer.cancel()
        connect()
    }

    /// Sends a command on the connection, or fails it at once when there is none.
    func send(_ command: RedisPendingCommands.Command, _ bytes: ByteBuffer) {
        guard !isStopped else { return command.fail(.shutDown) }
        guard let connection else {
            counters.refusedCommands += command.replyCount
            return command.fail(.notConnected)
        }
        connection.send(command, bytes)
    }

    /// The known reason why a command sent now would fail, if there is one. Commands wait for the first connection, but not
    /// after a loss, since the server may not come back.
    func obstacle(toSending byteCount: Int) -> RedisError? {
        guard let connection, isReady || failuresInARow == 0 else { return .notConnected }
        return connection.state.obstacle(toSending: byteCount)
    }

    /// Keeps the connection for as long as it lasts, and makes no other one; the owner is told of nothing more.
    func retire() {
        isRetired = true
        notify = nil
        retryTimer?.cancel()
    }

    /// Ends the connection for good. The future succeeds once its socket is closed.
    func stop() -> EventLoopFuture<Void> {
        isStopped = true
        retryTimer?.cancel()
        notify = nil
        let closed = connection?.channel?.closeFuture
        connection?.end(.shutDown)
        return closed ?? eventLoop.makeSucceededVoidFuture()
    }

    // MARK: Called by the connection

    func connectionIsReady(_ connection: RedisConnection) {
        readySince = eventLoop.now
        notify?(.ready)
    }

    func connectionHasEnded(_ connection: RedisConnection, _ cause: RedisError) {
        let readyFor = readySince.map { eventLoop.now - $0 }
        readySince = nil
        self.connection = nil
        provenUntil = connection.state.liveness.provenUntil
        hasEndedWithinReply = connection.isWithinReply
        guard !isStopped, !isRetired else { return }
        // As redis-py does: Redis 5 has one password and no users.
        if namesUser, cause.isOfServerWithoutUsers { return connect(withUser: false) }
        if let endpoint = connection.endpoint {
            locator.ended(at: endpoint, cause: cause, wasReady: readyFor != nil)
        }
        // A server that accepts a connection and closes it at once counts as failed.
        let wasStable = readyFor.map { $0 >= TimeAmount(configuration.backoff.maximum) } ?? false
        failuresInARow = wasStable ? 1 : failuresInARow + 1
        lastCauseIsRefusal = cause.isRefusal
        count(cause, wasReady: readyFor != nil)
        let delay = configuration.backoff.delay(
            failures: failuresInARow.dividedRoundingUp(by: locator.endpointCount), refused: cause.isRefusal,
            jitter: .random(in: 0...1))
        retryTimer = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { [weak self] in self?.connect() }
        notify?(.down(cause: cause, wasReady: readyFor != nil))
    }

    /// Of a ready subscription: all messages published before this time have arrived.
    var provenUntilNow: NIODeadline? { connection?.state.liveness.provenUntil }

    /// Of a ready subscription: the server's number for it.
    var clientID: Int64? { connection?.state.clientID }

    private func count(_ cause: RedisError, wasReady: Bool) {
        if !wasReady { counters.failedAttempts += 1 }
        switch cause {
        case .replyTooLarge: counters.oversizeReplies += 1
        case .malformedReply: counters.malformedReplies += 1
        case .silent: counters.silentPeers += 1
        default: break
        }
    }
}

extension Int {
    fileprivate func dividedRoundingUp(by divisor: Int) -> Int { (self + divisor - 1) / Swift.max(divisor, 1) }
}
