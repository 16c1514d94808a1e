import Logging
import NIOCore
import RedisPubSub

/// The one connection of an emitter, and the messages that wait for it. Lives on its event loop.
final class ChannelPublisher {
    private let broker: RedisBroker
    private let redisChannel: String
    private let retryWindow: TimeAmount
    private let delegate = NoMessages()

    /// The pause before a message that found no connection tries again; it costs a look at a variable.
    private static let pause = TimeAmount.milliseconds(20)

    /// Begins to connect.
    ///
    /// - Parameter timeout: bounds each `publish`. Its parts: a message that was not sent, because Redis was away, is tried
    ///   again during the first half. The answer may take the second half. Connecting may take a quarter, so that a message
    ///   given in the meantime learns of the failure, instead of expiring without knowing whether it was sent.
    init(url: RedisURL, redisChannel: String, timeout: Duration, maximumPending: Int, eventLoop: any EventLoop) {
        self.redisChannel = redisChannel
        retryWindow = TimeAmount(timeout / 2)
        var configuration = RedisConfiguration()
        configuration.connectTimeout = timeout / 4
        configuration.commandTimeout = timeout / 2
        configuration.maximumPendingCommands = maximumPending
        // Messages are waiting.
        configuration.backoff.maximum = .seconds(1)
        // What happens is told by the errors of `publish`.
        let logger = Logger(label: "ChannelEmitter", factory: { _ in SwiftLogNoOpLogHandler() })
        broker = RedisBroker(
            url: url.namingService(redisChannel), channels: [], eventLoop: eventLoop, logger: logger,
            configuration: configuration)
        broker.start(delegate: delegate)
    }

    /// Publishes one message and gives the number of subscribers that Redis counted, or fails with an ``EmitterError``.
    func publish(_ payload: ByteBuffer) -> EventLoopFuture<Int> {
        send { [self] in broker.publish(payload, to: redisChannel) }
    }

    /// Reads a key, which gets a value first when it has none, or fails with an ``EmitterError``.
    func get(_ key: [UInt8], orSet value: [UInt8]) -> EventLoopFuture<ByteBuffer?> {
        send { [self] in broker.get(key, orSet: value) }
    }

    private func send<Answer: Sendable>(_ command: @escaping () -> EventLoopFuture<Answer>) -> EventLoopFuture<Answer> {
        let promise = broker.eventLoop.makePromise(of: Answer.self)
        attempt(command, until: broker.eventLoop.now + retryWindow, promise)
        return promise.futureResult
    }

    private func attempt<Answer: Sendable>(
        _ command: @escaping () -> EventLoopFuture<Answer>, until end: NIODeadline, _ promise: EventLoopPromise<Answer>
    ) {
        command().assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let answer): promise.succeed(answer)
            case .failure(let error as RedisError):
                if error.meansNotSent, broker.eventLoop.now + Self.pause < end {
                    broker.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [self] in
                        attempt(command, until: end, promise)
                    }
                } else {
                    promise.fail(EmitterError(error))
                }
            case .failure(let error): promise.fail(error)
            }
        }
    }

    func shutdown() -> EventLoopFuture<Void> { broker.shutdown() }
}

extension RedisError {
    /// Whether the command never left, for a reason that may pass.
    fileprivate var meansNotSent: Bool {
        switch self {
        case .unreachable, .connectTimedOut, .notConnected, .closedUnheard, .notMaster, .noMaster, .noSentinel: true
        default: false
        }
    }
}
