import Logging
import NIOCore
import RedisPubSub

/// The one connection of an emitter, and the messages that wait for it. Lives on its event loop.
final class ChannelPublisher {
    private let broker: RedisBroker
    private let redisChannel: String
    private let retryWindow: TimeAmount

    /// The pause before a message that found no connection is tried again; a try costs next to nothing.
    private static let pause = TimeAmount.milliseconds(20)

    /// Begins to connect.
    ///
    /// - Parameter timeout: bounds each `publish`. During its first half, a message that was not sent because Redis was away is
    ///   tried again. The reply may take the second half. Connecting may take a quarter, so that a message given meanwhile
    ///   fails with that error, instead of expiring without knowing whether it was sent.
    init(url: RedisURL, redisChannel: String, timeout: Duration, maximumPending: Int, eventLoop: any EventLoop) {
        self.redisChannel = redisChannel
        retryWindow = TimeAmount(timeout / 2)
        var configuration = RedisConfiguration()
        configuration.connectTimeout = timeout / 4
        configuration.commandTimeout = timeout / 2
        configuration.maximumPendingCommands = maximumPending
        // Messages may be waiting.
        configuration.backoff.maximum = .seconds(1)
        // The errors of `publish` report what a log would.
        let logger = Logger(label: "ChannelEmitter", factory: { _ in SwiftLogNoOpLogHandler() })
        broker = RedisBroker(
            url: url.namingService(redisChannel), channels: [], eventLoop: eventLoop, logger: logger,
            configuration: configuration)
        broker.start()
    }

    /// Publishes one message and returns the number of subscribers that Redis counted, or fails with an ``EmitterError``.
    func publish(_ payload: ByteBuffer) -> EventLoopFuture<Int> {
        send { [self] in broker.publish(payload, to: redisChannel) }
    }

    /// Reads a key, which is set first if it doesn't exist, or fails with an ``EmitterError``.
    func get(_ key: [UInt8], orSet value: [UInt8]) -> EventLoopFuture<ByteBuffer?> {
        send { [self] in broker.get(key, orSet: value) }
    }

    private func send<Reply: Sendable>(_ command: @escaping () -> EventLoopFuture<Reply>) -> EventLoopFuture<Reply> {
        let promise = broker.eventLoop.makePromise(of: Reply.self)
        attempt(command, until: broker.eventLoop.now + retryWindow, promise)
        return promise.futureResult
    }

    private func attempt<Reply: Sendable>(
        _ command: @escaping () -> EventLoopFuture<Reply>, until end: NIODeadline, _ promise: EventLoopPromise<Reply>
    ) {
        command().assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let reply): promise.succeed(reply)
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
    /// True if the command was never sent, for a reason that may pass.
    fileprivate var meansNotSent: Bool {
        switch self {
        case .unreachable, .connectTimedOut, .notConnected, .closedWithoutReply, .notMaster, .noMaster, .noSentinel:
            true
        default: false
        }
    }
}
