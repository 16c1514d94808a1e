import NIOCore

/// What brings published messages to this process and takes ours out: Redis, or nothing but this process (`--redis none`).
///
/// A broker lives on one event loop: every call must be made there, and every answer comes there.
package protocol PubSubBroker: AnyObject {
    /// The loop that all calls are made on.
    var eventLoop: any EventLoop { get }

    /// What it has done so far; all zero without a server.
    var counters: RedisCounters { get }

    /// Subscribes, and keeps the subscription up until `shutdown`, however often it is lost.
    ///
    /// - Parameter delegate: kept alive until `shutdown`. Call once.
    func start(delegate: any PubSubDelegate)

    /// Publishes one message.
    ///
    /// - Returns: the number of receivers that the server counted (`PUBLISH`), ours included; 0 without a server.
    ///   Fails with a ``RedisError`` at once when the server is known to be away, within the command timeout otherwise.
    ///   After a failure the message may or may not have been published.
    func publish(_ payload: ByteBuffer, to redisChannel: String) -> EventLoopFuture<Int>

    /// Publishes a batch in one write.
    ///
    /// - Returns: succeeds when the server has answered each message. Fails as `publish` of one message does; the batch's
    ///   `answeredCount` says how many messages had been answered by then.
    func publish(_ batch: RedisPublishBatch) -> EventLoopFuture<Void>

    /// Why a message of so many bytes could not be published now; nil where nothing is known to be in the way.
    ///
    /// Known are: no connection, a queue that is full, and a server that has left the last command unanswered for longer than
    /// the command timeout.
    func obstacle(toPublishing byteCount: Int) -> RedisError?

    /// Reads at most so many bytes of the value of one key (`GETRANGE`), so that no large value holds up other answers.
    ///
    /// - Returns: the beginning of the value; nothing, or nil, when there is no such key. Fails as `publish` does. A server
    ///   that doesn't permit `GETRANGE` is asked with `GET`, which may bring more.
    func get(_ key: [UInt8], upTo limit: Int) -> EventLoopFuture<ByteBuffer?>

    /// Ends the subscription and all connections; commands still unanswered fail with `RedisError.shutDown`.
    func shutdown() -> EventLoopFuture<Void>
}

extension PubSubBroker {
    package func obstacle(toPublishing byteCount: Int) -> RedisError? { nil }
}

/// Who receives what a broker's subscription brings. All calls are made on the broker's event loop.
package protocol PubSubDelegate: AnyObject {
    /// One published message. Both pointers are valid during the call only: nothing has been copied.
    func received(_ payload: UnsafeRawBufferPointer, on redisChannel: UnsafeRawBufferPointer)

    /// All messages of one read burst have been handed over: the moment to flush what they led to.
    func receivedBatch()

    /// The subscription came up or was lost. Called on changes only.
    func subscriptionChanged(_ state: SubscriptionState)

    /// A loss is over, after `subscriptionChanged(.subscribed)`, and the server has been asked what it knows of it. Called
    /// once for each loss, with the best cause there is.
    func subscriptionLossExplained(_ loss: SubscriptionLoss)

    /// What the server's limit for the output of a slow subscriber is: a message near `warningBytes` is too large.
    func outputBufferLimitChanged(_ limit: RedisOutputBufferLimit)

    /// One of the two connections is away, for this cause at present; nil once both are up again. Called after each attempt
    /// that failed.
    func outageChanged(_ outage: RedisOutage?)
}

extension PubSubDelegate {
    package func subscriptionLossExplained(_ loss: SubscriptionLoss) {}
    package func outputBufferLimitChanged(_ limit: RedisOutputBufferLimit) {}
    package func outageChanged(_ outage: RedisOutage?) {}
}

/// A time without one of the two connections to Redis.
package struct RedisOutage: Sendable, Equatable {
    /// When the first of them was lost, or the start of the broker.
    package let since: NIODeadline
    /// Of the last attempt.
    package let cause: RedisError

    package init(since: NIODeadline, cause: RedisError) {
        (self.since, self.cause) = (since, cause)
    }
}

/// The state of a broker's subscription.
package enum SubscriptionState: Sendable, Equatable {
    /// Every channel is subscribed: from now on nothing published is missed.
    case subscribed
    /// Messages published from `since` on are not seen, until `subscribed`. The broker is already trying again.
    ///
    /// `since` is the latest time of which it is proven that all published before has come, at most the proving interval
    /// before the connection stopped bringing messages; or the start of a broker that has not been subscribed yet.
    case lost(cause: RedisError, since: NIODeadline)
}
