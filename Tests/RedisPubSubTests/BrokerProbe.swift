import Foundation
import Logging
import NIOCore
import NIOPosix
import RedisPubSub
import Synchronization

/// A broker on its own event loop, with a delegate that records, and futures for what is to come.
final class BrokerProbe: Sendable {
    /// What the delegate has seen; lives on the loop.
    final class Recorder: PubSubDelegate {
        var messages: [String] = []
        var states: [SubscriptionState] = []
        var batches = 0
        var outages: [RedisOutage?] = []
        private var waiting: [(condition: (Recorder) -> Bool, promise: EventLoopPromise<Void>)] = []

        func received(_ payload: Span<UInt8>, on redisChannel: Span<UInt8>) {
            messages.append(text(of: redisChannel) + "=" + text(of: payload))
            check()
        }

        func receivedBatch() {
            batches += 1
            check()
        }

        func subscriptionChanged(_ state: SubscriptionState) {
            states.append(state)
            check()
        }

        func outageChanged(_ outage: RedisOutage?) {
            outages.append(outage)
            check()
        }

        func wait(_ promise: EventLoopPromise<Void>, for condition: @escaping (Recorder) -> Bool) {
            waiting.append((condition, promise))
            check()
        }

        private func check() {
            let (met, unmet) = (waiting.filter { $0.condition(self) }, waiting.filter { !$0.condition(self) })
            waiting = unmet
            for entry in met { entry.promise.succeed() }
        }

        var subscribedCount: Int { states.count { $0 == .subscribed } }
        var causes: [RedisError] {
            states.compactMap { if case .lost(let cause, _) = $0 { cause } else { nil } }
        }
    }

    struct Parts {
        let broker: RedisBroker
        let recorder: Recorder
    }

    let log = CapturingLog()
    private let group: MultiThreadedEventLoopGroup
    private let loop: any EventLoop
    private let parts: NIOLoopBound<Parts>

    /// Starts a broker with short deadlines.
    init(
        _ url: String, channels: [String] = ["flask-socketio"],
        _ adjust: @Sendable (inout RedisConfiguration) -> Void = { _ in }
    ) async throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        self.loop = loop
        var configuration = RedisConfiguration()
        configuration.backoff.initial = .milliseconds(20)
        configuration.backoff.maximum = .milliseconds(100)
        configuration.backoff.afterRefusal = .milliseconds(100)
        adjust(&configuration)
        let (log, settings, redis) = (log, configuration, try RedisURL(url))
        parts = try await loop.submit {
            let broker = RedisBroker(
                url: redis, channels: channels, eventLoop: loop, logger: Logger(label: "test") { _ in log },
                configuration: settings)
            let recorder = Recorder()
            broker.start(delegate: recorder)
            return NIOLoopBound(Parts(broker: broker, recorder: recorder), eventLoop: loop)
        }.get()
    }

    func on<T: Sendable>(_ body: @escaping @Sendable (Parts) throws -> T) async throws -> T {
        let parts = parts
        return try await loop.submit { try body(parts.value) }.get()
    }

    /// Returns once the condition holds, and fails after a minute: machines are shared.
    func until(
        _ what: String, _ condition: @escaping @Sendable (Recorder) -> Bool
    ) async throws {
        let (loop, parts) = (loop, parts)
        try await loop.flatSubmit {
            let promise = loop.makePromise(of: Void.self)
            parts.value.recorder.wait(promise, for: condition)
            let timer = loop.assumeIsolated().scheduleTask(in: .seconds(60)) {
                let recorder = parts.value.recorder
                promise.fail(
                    RedisServer.Failure(
                        description:
                            "waited in vain until \(what): \(recorder.states) \(recorder.messages.suffix(5).map { $0.prefix(80) })"
                    ))
            }
            promise.futureResult.whenComplete { _ in timer.cancel() }
            return promise.futureResult
        }.get()
    }

    func publish(_ payload: String, to channel: String = "flask-socketio") async throws -> Int {
        let (loop, parts) = (loop, parts)
        return try await loop.flatSubmit {
            parts.value.broker.publish(ByteBuffer(string: payload), to: channel)
        }.get()
    }

    func get(_ key: String) async throws -> String? {
        let (loop, parts) = (loop, parts)
        return try await loop.flatSubmit { parts.value.broker.get(Array(key.utf8), upTo: 1 << 16) }.get()
            .flatMap { $0.readableBytes > 0 ? String(buffer: $0) : nil }
    }

    func evaluate(_ script: StaticString, keys: [[UInt8]], arguments: [[UInt8]]) async throws -> [[UInt8]] {
        let (loop, parts) = (loop, parts)
        return try await loop.flatSubmit { parts.value.broker.evaluate(script, keys: keys, arguments: arguments) }.get()
            .map { Array($0.readableBytesView) }
    }

    func counters() async throws -> RedisCounters {
        try await on { $0.broker.counters }
    }

    func shutdown() async throws {
        let (loop, parts) = (loop, parts)
        try await loop.flatSubmit { parts.value.broker.shutdown() }.get()
        try await group.shutdownGracefully()
    }
}

/// Keeps the lines that a logger writes.
final class CapturingLog: LogHandler, Sendable {
    private let entries = Mutex<[String]>([])

    var lines: [String] { entries.withLock { $0 } }

    func log(event: LogEvent) {
        let facts = (event.metadata ?? [:]).map { "\($0)=\($1)" }.sorted().joined(separator: " ")
        entries.withLock { $0.append("\(event.level) \(event.message) \(facts)") }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .info }
        set {}
    }
}

/// Bytes that the delegate is given, as text.
func text(of bytes: Span<UInt8>) -> String { bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
