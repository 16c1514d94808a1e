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

    private let context: RedisContext
    private let subscription: RedisSubscription?
    private let locator: any RedisLocator
    var notify: ((Event) -> Void)?

    private(set) var connection: RedisConnection?
    /// The server of `connection`, or of the last one.
    private(set) var target: RedisURL.Endpoint?
    /// Of the last subscription that ended: all messages published before this time have arrived.
    private(set) var provenUntil: NIODeadline?
    /// True if the last connection ended within a reply.
    private(set) var hasEndedWithinReply = false
    /// When `connection` became ready.
    private(set) var readySince: NIODeadline?
    private var namesUser = false
    private var failuresInARow = 0
    private var retryTimer: Scheduled<Void>?
    private var lastCauseIsRefusal = false
    /// True if no other connection is made.
    private var isStopped = false

    init(
        _ context: RedisContext, subscription: RedisSubscription? = nil, locator: any RedisLocator,
        notify: ((Event) -> Void)? = nil
    ) {
        self.context = context
        self.subscription = subscription
        self.locator = locator
        self.notify = notify
    }

    var isReady: Bool { readySince != nil }

    /// Makes one attempt to connect; after a failure the link makes the next one by itself.
    ///
    /// - Parameter withUser: whether to log in as the URL's user; Redis has users since release 6.
    func connect(withUser: Bool = true) {
        guard !isStopped, connection == nil else { return }
        retryTimer = nil
        context.counts.total.connectionAttempts += 1
        var context = context
        if !withUser { context.url.user = nil }
        let connection = RedisConnection(
            context, subscription: subscription, owner: self, wantsMaster: locator.wantsMaster)
        namesUser = context.url.user != nil
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
        let timeout = TimeAmount(context.configuration.connectTimeout)
        var bootstrap = ClientBootstrap(group: context.eventLoop).connectTimeout(timeout)
        if context.url.options.isKeptAlive {
            bootstrap = bootstrap.channelOption(.socketOption(.so_keepalive), value: 1)
        }
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
            if let tls = context.url.options.tls, let endpoint = connection.endpoint {
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
            context.counts.total.refusedCommands += command.replyCount
            return command.fail(.notConnected)
        }
        connection.send(command, bytes)
    }

    /// Sends a command that has one reply, as `send` does.
    func query(_ command: RedisError.Command, _ bytes: ByteBuffer) -> EventLoopFuture<RedisReply> {
        let promise = context.eventLoop.makePromise(of: RedisReply.self)
        send(.query(command, promise), bytes)
        return promise.futureResult
    }

    /// The known reason why a command sent now would fail, if there is one. Commands wait for the first connection, but not
    /// after a loss, since the server may not come back.
    func obstacle(toSending byteCount: Int) -> RedisError? {
        guard let connection, isReady || failuresInARow == 0 else { return .notConnected }
        return unsafe connection.state.pending.obstacle(toSending: byteCount)
    }

    /// Keeps the connection for as long as it lasts, and makes no other one; the owner is told of nothing more.
    func retire() {
        isStopped = true
        notify = nil
        retryTimer?.cancel()
    }

    /// Ends the connection for good. The future succeeds once its socket is closed.
    func stop() -> EventLoopFuture<Void> {
        retire()
        let closed = connection?.channel?.closeFuture
        connection?.end(.shutDown)
        return closed ?? context.eventLoop.makeSucceededVoidFuture()
    }

    // MARK: Called by the connection

    func connectionIsReady(_ connection: RedisConnection) {
        readySince = context.eventLoop.now
        notify?(.ready)
    }

    func connectionHasEnded(_ connection: RedisConnection, _ cause: RedisError) {
        let readyFor = readySince.map { context.eventLoop.now - $0 }
        readySince = nil
        self.connection = nil
        provenUntil = unsafe connection.state.liveness.provenUntil
        hasEndedWithinReply = connection.isWithinReply
        guard !isStopped else { return }
        // As redis-py does: Redis 5 has one password and no users.
        if namesUser, cause.isOfServerWithoutUsers { return connect(withUser: false) }
        if let endpoint = connection.endpoint {
            locator.ended(at: endpoint, cause: cause, wasReady: readyFor != nil)
        }
        let backoff = context.configuration.backoff
        // A server that accepts a connection and closes it at once counts as failed.
        let wasStable = readyFor.map { $0 >= TimeAmount(backoff.maximum) } ?? false
        failuresInARow = wasStable ? 1 : failuresInARow + 1
        lastCauseIsRefusal = cause.isRefusal
        count(cause, wasReady: readyFor != nil)
        let delay = backoff.delay(
            failures: failuresInARow.dividedRoundingUp(by: locator.endpointCount), refused: cause.isRefusal,
            jitter: .random(in: 0...1))
        retryTimer = context.schedule(in: delay) { [weak self] in self?.connect() }
        notify?(.down(cause: cause, wasReady: readyFor != nil))
    }

    /// Of a ready subscription: all messages published before this time have arrived.
    var provenUntilNow: NIODeadline? { unsafe connection?.state.liveness.provenUntil }

    /// Of a ready subscription: the server's number for it.
    var clientID: Int64? { unsafe connection?.state.clientID }

    private func count(_ cause: RedisError, wasReady: Bool) {
        if !wasReady { context.counts.total.failedAttempts += 1 }
        switch cause {
        case .replyTooLarge: context.counts.total.oversizeReplies += 1
        case .malformedReply: context.counts.total.malformedReplies += 1
        case .silent: context.counts.total.silentPeers += 1
        default: break
        }
    }
}

extension Int {
    fileprivate func dividedRoundingUp(by divisor: Int) -> Int { (self + divisor - 1) / Swift.max(divisor, 1) }
}
