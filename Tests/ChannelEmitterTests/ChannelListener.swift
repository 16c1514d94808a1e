import Logging
import NIOCore
import NIOPosix
import RedisPubSub

/// Hears what is published on one channel.
final class ChannelListener: Sendable {
    private final class Delegate: PubSubDelegate {
        let payloads: AsyncStream<String>.Continuation
        let subscribed: EventLoopPromise<Void>

        init(_ payloads: AsyncStream<String>.Continuation, _ subscribed: EventLoopPromise<Void>) {
            self.payloads = payloads
            self.subscribed = subscribed
        }

        func received(_ payload: Span<UInt8>, on redisChannel: Span<UInt8>) {
            payloads.yield(payload.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
        }

        func receivedBatch() {}

        func subscriptionChanged(_ state: SubscriptionState) {
            if state == .subscribed { subscribed.succeed() }
        }
    }

    let payloads: AsyncStream<String>
    private let broker: NIOLoopBound<RedisBroker>

    /// Returns when the channel is subscribed.
    init(_ url: String, channel: String = "flask-socketio") async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: String.self)
        let (redis, loop) = (try RedisURL(url), MultiThreadedEventLoopGroup.singleton.next())
        let subscribed = loop.makePromise(of: Void.self)
        broker = try await loop.submit {
            let broker = RedisBroker(
                url: redis, channels: [channel], eventLoop: loop,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            broker.start(delegate: Delegate(continuation, subscribed))
            return NIOLoopBound(broker, eventLoop: loop)
        }.get()
        payloads = stream
        try await subscribed.futureResult.get()
    }

    /// The next so many payloads, the sender's id left out.
    func next(_ count: Int = 1) async -> [String] {
        var found: [String] = []
        for await payload in payloads {
            found.append(payload.split(separator: #","host_id":"#)[0] + "")
            if found.count == count { break }
        }
        return found
    }

    func close() async throws {
        let broker = broker
        try await broker.eventLoop.flatSubmit { broker.value.shutdown() }.get()
    }
}
