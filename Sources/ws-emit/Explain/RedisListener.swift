import Logging
import NIOCore
import RedisPubSub

/// Listens to all channels of a Redis for a time, on one event loop.
struct RedisListener {
    private let eventLoop: any EventLoop
    private let broker: NIOLoopBound<RedisBroker>
    private let traffic: NIOLoopBound<ChannelTraffic>
    /// Time for connecting, and for a canary to arrive.
    private static let patience = TimeAmount.seconds(5)

    init(_ url: RedisURL, on eventLoop: any EventLoop) async throws {
        self.eventLoop = eventLoop
        (broker, traffic) = try await eventLoop.submit {
            let logger = Logger(label: "ws-emit") { _ in SwiftLogNoOpLogHandler() }
            let broker = RedisBroker(url: url, channels: [], patterns: ["*"], eventLoop: eventLoop, logger: logger)
            let traffic = ChannelTraffic()
            broker.start(delegate: traffic)
            return (NIOLoopBound(broker, eventLoop: eventLoop), NIOLoopBound(traffic, eventLoop: eventLoop))
        }.get()
    }

    /// Returns once subscribed, or after the first failure.
    func waitForSubscription() async throws {
        try await wait { $0.isSubscribed || $0.heard.failure != nil }
    }

    /// Waits for the canary that the instance has sent, if it could send one.
    func waitForCanary(of facts: InstanceFacts) async throws {
        guard facts.canaryID != nil else { return }
        let hostID = facts.hostID
        try await wait { $0.hasCanary(of: hostID) || $0.heard.failure != nil }
    }

    func heard(seconds: Double, facts: InstanceFacts) async throws -> Diagnosis.Heard {
        let hostID = facts.hostID
        return try await eventLoop.submit { [traffic] in
            var heard = traffic.value.heard
            heard.seconds = seconds
            heard.hasInstanceCanary = traffic.value.hasCanary(of: hostID)
            if !traffic.value.isSubscribed, heard.failure == nil { heard.failure = "no reply" }
            return heard
        }.get()
    }

    func close() async throws {
        try await eventLoop.flatSubmit { [broker] in broker.value.shutdown() }.get()
    }

    /// Returns once the condition holds, or when the time is over.
    private func wait(until condition: @escaping @Sendable (ChannelTraffic) -> Bool) async throws {
        let deadline = NIODeadline.now() + Self.patience
        while try await !eventLoop.submit({ [traffic] in condition(traffic.value) }).get(), .now() < deadline {
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
