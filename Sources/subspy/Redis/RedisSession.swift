import Logging
import NIOCore
import RedisPubSub

/// The connections of one run: one for commands, and one that listens when asked.
final class RedisSession {
    let run: RunLoop
    private let url: RedisURL
    let isPatient: Bool
    private let logger: Logger
    private let commands: RedisBroker
    /// Before the first reply the connection has never been up: no command can have been carried out.
    private var hasReplied = false
    /// Commands to be tried again, in order: later ones must not overtake them.
    private var held: [() -> Void] = []

    /// Connects for commands.
    ///
    /// - Parameter isPatient: whether to wait for a server that is away at the start; otherwise the run ends with 69.
    init(run: RunLoop, url: RedisURL, isPatient: Bool, logger: Logger) {
        self.run = run
        self.url = url
        self.isPatient = isPatient
        self.logger = logger
        // Without patience the sentence that ends the run says enough.
        var commandLogger = logger
        if !isPatient { commandLogger.logLevel = .critical }
        var configuration = RedisConfiguration()
        configuration.maximumPendingCommands = Limits.unansweredMessages + 16
        commands = RedisBroker(
            url: url, channels: [], eventLoop: run.eventLoop, logger: commandLogger, configuration: configuration)
        commands.start()
        let commands = commands
        run.closeAtEnd { commands.shutdown() }
    }

    /// Subscribes. The delegate is told about messages and losses.
    func listen(channels: [String], patterns: [String], delegate: any PubSubDelegate) {
        let broker = RedisBroker(
            url: url, channels: channels, patterns: patterns, eventLoop: run.eventLoop, logger: logger)
        broker.start(delegate: delegate)
        run.closeAtEnd { broker.shutdown() }
    }

    /// The channels with subscribers, in the server's order; none where an ACL hides them.
    func activeChannels(_ body: @escaping ([[UInt8]]) -> Void) {
        untilReplied({ $0.activeChannels() }) { result in
            switch result {
            case .success(let names): body(names.map { Array($0.readableBytesView) })
            case .failure: body([])
            }
        }
    }

    /// Waits for the server, or ends the run.
    func whenConnected(_ body: @escaping () -> Void) {
        activeChannels { _ in body() }
    }

    /// Publishes one message.
    func publish(_ payload: [UInt8], to redisChannel: String, _ body: @escaping (Result<Int, RedisError>) -> Void) {
        untilReplied({ $0.publish(ByteBuffer(bytes: payload), to: redisChannel) }, body)
    }

    /// Publishes a batch, of `Limits.unansweredMessages` messages at most, without trying again.
    func publishOnce(_ batch: RedisPublishBatch) -> EventLoopFuture<Void> {
        commands.publish(batch)
    }

    /// Sends a command until the server replies, or once if the run isn't patient.
    private func untilReplied<Reply: Sendable>(
        _ command: @escaping (RedisBroker) -> EventLoopFuture<Reply>,
        _ body: @escaping (Result<Reply, RedisError>) -> Void
    ) {
        guard held.isEmpty else { return held.append { [self] in untilReplied(command, body) } }
        command(commands).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let reply):
                hasReplied = true
                body(.success(reply))
            case .failure(let error as RedisError): retry(command, after: error, body)
            case .failure(let error): retry(command, after: .broken(reason: "\(error)"), body)
            }
        }
    }

    private func retry<Reply: Sendable>(
        _ command: @escaping (RedisBroker) -> EventLoopFuture<Reply>, after error: RedisError,
        _ body: @escaping (Result<Reply, RedisError>) -> Void
    ) {
        switch error {
        case .shutDown: return
        // A message that may have been published isn't published again.
        case .refused(.publish, _), .refused(.channels, _): return body(.failure(error))
        case .closedByServer, .broken, .silent, .commandTimedOut, .malformedReply, .replyTooLarge, .failedOver,
            .restarted, .outputBufferFull, .killed, .evicted:
            if hasReplied { return body(.failure(error)) }
        case .unreachable, .connectTimedOut, .notConnected, .queueFull, .refused, .tls, .needsTLS, .closedWithoutReply,
            .notMaster, .noMaster, .noSentinel:
            break
        }
        guard isPatient else {
            StandardError.say("\(error) (\(url)); start it, or name another one with --redis or REDIS")
            return run.end(69)
        }
        if held.isEmpty { run.after(Limits.retryAfter) { [self] in tryAgain() } }
        held.append { [self] in untilReplied(command, body) }
    }

    private func tryAgain() {
        let commands = held
        held = []
        for command in commands { command() }
    }
}
