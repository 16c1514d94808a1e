import NIOCore

/// A broker without a server (`--redis none`): nobody receives what is published, and the keys are a table given at the start.
package final class LocalBroker: PubSubBroker {
    package let eventLoop: any EventLoop
    private let values: [[UInt8]: [UInt8]]
    private var isShutDown = false
    package var counters: RedisCounters { RedisCounters() }

    /// - Parameter values: the values that `get` returns, by key; the bridge stores the secrets of its room-spaces here.
    package init(eventLoop: any EventLoop, values: [[UInt8]: [UInt8]] = [:]) {
        self.eventLoop = eventLoop
        self.values = values
    }

    /// Reports `subscribed` at once, since a process without a channel misses nothing.
    package func start(delegate: any PubSubDelegate) {
        delegate.subscriptionChanged(.subscribed)
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
