import Logging
import NIOCore
import RedisPubSub

/// The connections of one run, on its loop: one for commands from the start, one that listens when asked.
final class RedisSession {
    let run: RunLoop
    private let url: RedisURL
    let isPatient: Bool
    private let logger: Logger
    private let commands: RedisBroker
    /// Before the first answer the connection has never been up: nothing can have been carried out.
    private var hasAnswered = false
    /// What is to be tried again, in order: what comes later must not overtake it.
    private var held: [() -> Void] = []

    /// Connects for commands.
    ///
    /// - Parameter isPatient: whether to wait for a server that is away at the start; otherwise the run ends with 69.
    init(run: RunLoop, url: RedisURL, isPatient: Bool, logger: Logger) {
        self.run = run
        self.url = url
        self.isPatient = isPatient
        // The sentence that ends the run says it all.
        self.logger = logger
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

    /// Subscribes and stays; the delegate hears of messages and of losses.
    func listen(channels: [String], patterns: [String], delegate: any PubSubDelegate) {
        let broker = RedisBroker(
            url: url, channels: channels, patterns: patterns, eventLoop: run.eventLoop, logger: logger)
        broker.start(delegate: delegate)
        run.closeAtEnd { broker.shutdown() }
    }

    /// The channels that somebody listens to, in the server's order; none where an ACL hides them.
    func activeChannels(_ body: @escaping ([[UInt8]]) -> Void) {
        untilAnswered({ $0.activeChannels() }) { result in
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
        untilAnswered({ $0.publish(ByteBuffer(bytes: payload), to: redisChannel) }, body)
    }

    /// Publishes a batch, of `Limits.unansweredMessages` messages at most, without trying again.
    func publishOnce(_ batch: RedisPublishBatch) -> EventLoopFuture<Void> {
        commands.publish(batch)
    }

    /// Sends a command again and again until the server answers it, or once if the run isn't patient.
    private func untilAnswered<Answer: Sendable>(
        _ command: @escaping (RedisBroker) -> EventLoopFuture<Answer>,
        _ body: @escaping (Result<Answer, RedisError>) -> Void
    ) {
        guard held.isEmpty else { return held.append { [self] in untilAnswered(command, body) } }
        command(commands).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let answer):
                hasAnswered = true
                body(.success(answer))
            case .failure(let error as RedisError): retry(command, after: error, body)
            case .failure(let error): retry(command, after: .broken(reason: "\(error)"), body)
            }
        }
    }

    private func retry<Answer: Sendable>(
        _ command: @escaping (RedisBroker) -> EventLoopFuture<Answer>, after error: RedisError,
        _ body: @escaping (Result<Answer, RedisError>) -> Void
    ) {
        switch error {
        case .shutDown: return
        // What may have been published isn't published again.
        case .refused(.publish, _), .refused(.channels, _): return body(.failure(error))
        case .closedByServer, .broken, .silent, .commandTimedOut, .malformedReply, .replyTooLarge, .failedOver,
            .restarted, .outputBufferFull, .killed, .evicted:
            if hasAnswered { return body(.failure(error)) }
        case .unreachable, .connectTimedOut, .notConnected, .queueFull, .refused, .tls, .needsTLS, .closedUnheard,
            .notMaster, .noMaster, .noSentinel:
            break
        }
        guard isPatient else {
            StandardError.say("\(error) (\(url)); start it, or name another one with --redis or REDIS")
            return run.end(69)
        }
        if held.isEmpty { run.after(Limits.retryAfter) { [self] in tryAgain() } }
        held.append { [self] in untilAnswered(command, body) }
    }

    private func tryAgain() {
        let commands = held
        held = []
        for command in commands { command() }
    }
}
