import Bytes
import Logging
import NIOCore
import PubSubMessages
import RedisPubSub

/// Publishes this server's own messages for the other servers on the channel: HTTP emits, acks and canaries.
///
/// HTTP emits of one turn of the event loop leave in one batch.
final class LocalPublisher {
    private let broker: any PubSubBroker
    private let configuration: BridgeConfiguration
    private let logger: Logger
    /// HTTP emits of this turn of the event loop.
    private var batch: RedisPublishBatch?
    /// The error reply to the last message, if there was one. An ACL that forbids PUBLISH forbids the next one too.
    private(set) var refusal: RedisError?
    private var warnings = RepeatLimit()
    private(set) var failureCount = 0
    private(set) var queueFullCount = 0

    init(broker: any PubSubBroker, configuration: BridgeConfiguration, logger: Logger) {
        self.broker = broker
        self.configuration = configuration
        self.logger = logger
    }

    private var redisChannel: String? { configuration.redisChannels.first }

    // MARK: HTTP emits

    /// The format that the other servers read. A list means one thing up to python-socketio 5.15.0 and another from 5.15.1 on:
    /// emits are written for the older releases as long as only those have been seen on the channel.
    func format(for senders: SenderMonitor) -> PubSubMessageEncoder.Format {
        configuration.publishFormat ?? (senders.areAllBefore5_15_1 ? .bareJSON : .json)
    }

    var hasBatch: Bool { batch != nil }
    var isBatchFull: Bool { (batch?.byteCount ?? 0) >= BridgeLimits.publishBatchBytes }

    /// Adds an emit to the batch of this turn.
    ///
    /// - Returns: why it isn't published, if that is known already, or the error reply to the one before it.
    func append(_ payload: [UInt8], as format: PubSubMessageEncoder.Format) -> RedisError? {
        let batch = batch ?? RedisPublishBatch(capacity: 4096)
        self.batch = batch
        guard var redisChannel else { return nil }
        let message = PubSubMessageEncoder.emit(payload, as: format)
        if let obstacle = broker.obstacle(toPublishing: batch.byteCount + message.count) {
            noteFailure(obstacle, of: 1)
            return obstacle
        }
        redisChannel.withUTF8 { redisChannel in
            unsafe message.withUnsafeBytes { unsafe batch.append($0, to: UnsafeRawBufferPointer(redisChannel)) }
        }
        return refusal
    }

    /// Publishes the batch of this turn.
    func publishBatch() {
        guard let batch = batch.take() else { return }
        broker.publish(batch).assumeIsolated().whenComplete { result in
            switch result {
            case .success: self.refusal = nil
            case .failure(let error): self.noteFailure(error, of: batch.failureCount)
            }
        }
    }

    // MARK: Other messages

    func publishAck(to address: CallbackAddress, json: [UInt8], attachments: [[UInt8]]) {
        do {
            publish(try PubSubMessageEncoder.callback(to: address, arguments: json, attachments: attachments))
        } catch {
            logger.warning("a client's ack can't be published", metadata: ["cause": "\(error)"])
        }
    }

    /// Publishes one message; a failure is counted and logged.
    @discardableResult
    func publish(_ payload: [UInt8]) -> EventLoopFuture<Int> {
        let published = send(payload)
        published.assumeIsolated().whenFailure { error in self.noteFailure(error, of: 1) }
        return published
    }

    /// The number of subscribers that got it; 0 without a channel.
    private func send(_ payload: [UInt8]) -> EventLoopFuture<Int> {
        guard let redisChannel else { return broker.eventLoop.makeSucceededFuture(0) }
        return broker.publish(ByteBuffer(bytes: payload), to: redisChannel)
    }

    /// Publishes a message of ws-emit servers among themselves. A failure is not counted, and logged only if Redis refuses PUBLISH:
    /// readiness reports the others.
    @discardableResult
    func publishInternal(_ payload: [UInt8]) -> EventLoopFuture<Int> {
        let published = send(payload)
        published.assumeIsolated().whenComplete { result in
            switch result {
            case .success: self.refusal = nil
            case .failure(let error):
                self.noteRefusal(error)
                guard case .refused? = error as? RedisError,
                    self.warnings.isDue("\(error)", at: self.broker.eventLoop.now)
                else { return }
                self.logger.warning(
                    "ws-emit can't publish on the channel: /readyz fails, and other servers miss emits by HTTP",
                    metadata: ["cause": "\(error)"])
            }
        }
        return published
    }

    // MARK: Failures

    /// Warnings of the last outage may be repeated in the next one.
    func subscriptionIsUp() { warnings = RepeatLimit() }

    private func noteRefusal(_ error: any Error) {
        if let error = error as? RedisError, case .refused = error { refusal = error }
    }

    /// Counts unpublished messages, and warns of each cause once a minute.
    private func noteFailure(_ error: any Error, of messageCount: Int) {
        failureCount += messageCount
        noteRefusal(error)
        let isQueueFull = error as? RedisError == .queueFull
        if isQueueFull { queueFullCount += messageCount }
        guard warnings.isDue("\(error)", at: broker.eventLoop.now) else { return }
        logger.warning(
            "messages are not published: clients of this server get them, other servers on the channel don't",
            metadata: [
                "cause": "\(error)\(isQueueFull ? " (--max-redis-queue)" : "")", "publish_failures": "\(failureCount)",
            ])
    }
}
