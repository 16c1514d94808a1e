import NIOCore
import NIOPosix

/// Keeps one connection to Redis up: connects, and after each loss connects again with backoff, until it is stopped.
final class RedisLink {
    /// What the owner is told; called on the event loop.
    enum Event {
        case ready
        /// The connection ended, or none could be made; `wasReady` tells which. Another attempt is already planned.
        case down(cause: RedisError, wasReady: Bool)
    }

    /// Counted by the connections of this link too.
    var counters = RedisCounters()

    private let role: RedisConnection.Role
    private let url: RedisURL
    private let configuration: RedisConfiguration
    private let eventLoop: any EventLoop
    private var notify: ((Event) -> Void)?

    private var connection: RedisConnection?
    /// Since when `connection` has been ready.
    private var readySince: NIODeadline?
    private var failuresInARow = 0
    private var retryTimer: Scheduled<Void>?
    private var lastCauseIsRefusal = false
    private var isStopped = false

    init(
        role: RedisConnection.Role, url: RedisURL, configuration: RedisConfiguration, eventLoop: any EventLoop,
        notify: @escaping (Event) -> Void
    ) {
        self.role = role
        self.url = url
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.notify = notify
    }

    var isReady: Bool { readySince != nil }

    /// Makes one attempt to connect; on failure the next one follows by itself.
    func connect() {
        guard !isStopped, connection == nil else { return }
        retryTimer = nil
        counters.connectionAttempts += 1
        let connection = RedisConnection(
            role: role, url: url, configuration: configuration, eventLoop: eventLoop, owner: self)
        self.connection = connection
        connection.start()
        bootstrap().assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): Self.attach(connection, to: channel)
            case .failure(let error): connection.end(.connecting(error))
            }
        }
    }

    private func bootstrap() -> EventLoopFuture<any Channel> {
        let bootstrap = ClientBootstrap(group: eventLoop).connectTimeout(TimeAmount(configuration.connectTimeout))
        switch url.endpoint {
        case .tcp(let host, let port): return bootstrap.connect(host: host, port: port)
        case .unixSocket(let path): return bootstrap.connect(unixDomainSocketPath: path)
        }
    }

    /// Adds the handler after connecting: a host with several addresses is tried by several channels, and the channel
    /// reads nothing before this runs, on the same turn of the loop.
    private static func attach(_ connection: RedisConnection, to channel: any Channel) {
        guard !connection.isClosed else { return channel.close(promise: nil) }
        do {
            try channel.pipeline.syncOperations.addHandler(connection)
        } catch {
            channel.close(promise: nil)
            connection.end(.reading(error))
        }
    }

    /// Ends the wait for the next attempt: the server has been seen to be back.
    func serverIsBack() {
        guard let retryTimer, connection == nil, !lastCauseIsRefusal else { return }
        retryTimer.cancel()
        connect()
    }

    /// Sends a command on the connection, or fails it at once when there is none.
    func send(_ command: RedisPendingCommands.Command, _ bytes: ByteBuffer) {
        guard !isStopped else { return command.fail(.shutDown) }
        guard let connection else {
            counters.refusedCommands += 1
            return command.fail(.notConnected)
        }
        connection.send(command, bytes)
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

    // MARK: Told by the connection

    func connectionIsReady(_ connection: RedisConnection) {
        readySince = eventLoop.now
        notify?(.ready)
    }

    func connectionHasEnded(_ connection: RedisConnection, _ cause: RedisError) {
        let readyFor = readySince.map { eventLoop.now - $0 }
        readySince = nil
        self.connection = nil
        guard !isStopped else { return }
        // A server that takes us in and drops us at once is no better than none.
        let wasStable = readyFor.map { $0 >= TimeAmount(configuration.backoff.maximum) } ?? false
        failuresInARow = wasStable ? 1 : failuresInARow + 1
        lastCauseIsRefusal = cause.isRefusal
        count(cause, wasReady: readyFor != nil)
        let delay = configuration.backoff.delay(
            failures: failuresInARow, refused: cause.isRefusal, jitter: .random(in: 0...1))
        retryTimer = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { [weak self] in self?.connect() }
        notify?(.down(cause: cause, wasReady: readyFor != nil))
    }

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
