import NIOCore

/// Receives published messages and publishes ours: through Redis, or within this process only (`--redis none`).
///
/// A broker lives on one event loop: every call must be made there, and every future and delegate call comes there.
package protocol PubSubBroker: AnyObject {
    /// The loop that all calls are made on.
    var eventLoop: any EventLoop { get }

    /// Counts since the start; all zero without a server.
    var counters: RedisCounters { get }

    /// Subscribes, and subscribes again after each loss, until `shutdown`.
    ///
    /// - Parameter delegate: kept alive until `shutdown`. Call once.
    func start(delegate: any PubSubDelegate)

    /// Publishes one message, as a batch of its own.
    ///
    /// - Returns: the number of receivers that the server counted (`PUBLISH`), ours included; 0 without a server. Fails as
    ///   `publish` of a batch does.
    func publish(_ payload: ByteBuffer, to redisChannel: String) -> EventLoopFuture<Int>

    /// Publishes a batch in one write.
    ///
    /// - Returns: succeeds when the server has replied to each message. Fails with a ``RedisError`` at once when the server is
    ///   known to be away, within the command timeout otherwise; the batch's `replyCount` is the number of replies until then.
    ///   After a failure, messages without a reply may or may not have been published.
    func publish(_ batch: RedisPublishBatch) -> EventLoopFuture<Void>

    /// The known reason why a message of so many bytes can't be published now, if there is one: no connection, a full queue, or
    /// a server that hasn't replied to the last command within the command timeout.
    func obstacle(toPublishing byteCount: Int) -> RedisError?

    /// Reads at most so many bytes of the value of one key (`GETRANGE`), so that a large value doesn't delay other replies.
    ///
    /// - Returns: the beginning of the value; empty or nil when the key doesn't exist. Fails as `publish` does. Where the
    ///   server doesn't permit `GETRANGE`, `GET` is used, which may return more.
    func get(_ key: [UInt8], upTo limit: Int) -> EventLoopFuture<ByteBuffer?>

    /// True if there is a server that runs scripts.
    var hasScripts: Bool { get }

    /// Runs a script on the server (`EVAL`), in one step for everybody else.
    ///
    /// - Parameters:
    ///   - script: returns an array of texts, which must be bounded: a reply beyond `maximumReplyBytes` ends the connection.
    ///   - keys: all keys that it uses, of one slot.
    /// - Returns: the texts. Fails as `publish` does; after a timeout or a lost connection the script may still run, or have run.
    func evaluate(_ script: StaticString, keys: [[UInt8]], arguments: [[UInt8]]) -> EventLoopFuture<[ByteBuffer]>

    /// Ends the subscription and all connections; commands that have no reply yet fail with `RedisError.shutDown`.
    func shutdown() -> EventLoopFuture<Void>
}

extension PubSubBroker {
    package func publish(_ payload: ByteBuffer, to redisChannel: String) -> EventLoopFuture<Int> {
        var redisChannel = redisChannel
        let batch = RedisPublishBatch(capacity: payload.readableBytes + redisChannel.utf8.count + 64)
        unsafe payload.withUnsafeReadableBytes { payload in
            redisChannel.withUTF8 { unsafe batch.append(payload, to: UnsafeRawBufferPointer($0)) }
        }
        return publish(batch).assumeIsolated().map { batch.receiverCount }.nonisolated()
    }

    package func obstacle(toPublishing byteCount: Int) -> RedisError? { nil }

    package var hasScripts: Bool { false }

    package func evaluate(
        _ script: StaticString, keys: [[UInt8]], arguments: [[UInt8]]
    ) -> EventLoopFuture<[ByteBuffer]> {
        eventLoop.makeFailedFuture(RedisError.notConnected)
    }
}

/// The receiver of a broker's messages and events. All calls are made on the broker's event loop.
package protocol PubSubDelegate: AnyObject {
    /// One published message. Nothing has been copied: the bytes are those of the read.
    func received(_ payload: Span<UInt8>, on redisChannel: Span<UInt8>)

    /// All messages of one read have been received: output that they caused can be flushed now.
    func receivedBatch()

    /// The subscription came up or was lost. Called on changes only.
    func subscriptionChanged(_ state: SubscriptionState)

    /// A loss is over, and the server has been asked for its cause. Called once for each loss, after
    /// `subscriptionChanged(.subscribed)`, with the best cause there is.
    func subscriptionLossExplained(_ loss: SubscriptionLoss)

    /// The server's limit for the output of a slow subscriber is another one: a message near `warningBytes` is too large.
    func outputBufferLimitChanged(_ limit: RedisOutputBufferLimit)

    /// One of the two connections is down, for this cause at present; nil once both are up again. Called after each failed
    /// attempt to connect.
    func outageChanged(_ outage: RedisOutage?)
}

extension PubSubDelegate {
    package func subscriptionLossExplained(_ loss: SubscriptionLoss) {}
    package func outputBufferLimitChanged(_ limit: RedisOutputBufferLimit) {}
    package func outageChanged(_ outage: RedisOutage?) {}
}

/// A period in which one of the two connections to Redis is down.
package struct RedisOutage: Sendable, Equatable {
    /// When the first connection was lost, or the broker started.
    package let since: NIODeadline
    /// The cause of the last loss or failed attempt.
    package let cause: RedisError

    package init(since: NIODeadline, cause: RedisError) {
        (self.since, self.cause) = (since, cause)
    }
}

/// The state of a broker's subscription.
package enum SubscriptionState: Sendable, Equatable {
    /// Every channel is subscribed: from now on nothing published is missed.
    case subscribed
    /// Messages published from `since` on are missed, until `subscribed`. The broker is already trying again.
    ///
    /// All messages published before `since` are known to have arrived. It lies at most one proving interval before the last
    /// message; for a broker that hasn't been subscribed yet it is its start.
    case lost(cause: RedisError, since: NIODeadline)
}

/// One period without a subscription, once it is over and the server has been asked for its cause.
package struct SubscriptionLoss: Sendable, Equatable {
    /// The best explanation there is; it may be better than the one of ``SubscriptionState/lost(cause:since:)``.
    package let cause: RedisError
    /// All messages published before have been received.
    package let since: NIODeadline
    /// All messages published after will be received.
    package let until: NIODeadline
}
