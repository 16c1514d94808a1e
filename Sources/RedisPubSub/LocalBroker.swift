import NIOCore

/// A broker without a server: there is nobody to publish to, and the keys are a table given at the start (`--redis none`).
package final class LocalBroker: PubSubBroker {
    package let eventLoop: any EventLoop
    private let values: [[UInt8]: [UInt8]]
    private var isShutDown = false
    package var counters: RedisCounters { RedisCounters() }

    /// - Parameter values: what `get` answers, by key; for the bridge the secrets of its room-spaces.
    package init(eventLoop: any EventLoop, values: [[UInt8]: [UInt8]] = [:]) {
        self.eventLoop = eventLoop
        self.values = values
    }

    /// Reports `subscribed` at once: a process that is alone misses nothing.
    package func start(delegate: any PubSubDelegate) {
        delegate.subscriptionChanged(.subscribed)
    }

    package func publish(_ payload: ByteBuffer, to redisChannel: String) -> EventLoopFuture<Int> {
        isShutDown ? eventLoop.makeFailedFuture(RedisError.shutDown) : eventLoop.makeSucceededFuture(0)
    }

    package func publish(_ batch: RedisPublishBatch) -> EventLoopFuture<Void> {
        isShutDown ? eventLoop.makeFailedFuture(RedisError.shutDown) : eventLoop.makeSucceededVoidFuture()
    }

    package func get(_ key: [UInt8], upTo limit: Int) -> EventLoopFuture<ByteBuffer?> {
        guard !isShutDown else { return eventLoop.makeFailedFuture(RedisError.shutDown) }
        return eventLoop.makeSucceededFuture(values[key].map { ByteBuffer(bytes: $0.prefix(limit)) })
    }

    package func shutdown() -> EventLoopFuture<Void> {
        isShutDown = true
        return eventLoop.makeSucceededVoidFuture()
    }
}
