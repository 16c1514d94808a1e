import Logging
import NIOCore
import RedisPubSub

/// Listens to all channels of a Redis for a time, on one event loop.
final class RedisListener: Sendable {
    private struct State {
        let broker: RedisBroker
        let traffic: ChannelTraffic
    }

    private let eventLoop: any EventLoop
    private let url: RedisURL
    private let state: NIOLoopBoundBox<State?>
    /// Time for connecting, and for a canary to arrive.
    private static let patience = TimeAmount.seconds(5)

    init(url: RedisURL, group: any EventLoopGroup) {
        self.url = url
        eventLoop = group.any()
        state = .makeEmptyBox(valueType: State.self, eventLoop: eventLoop)
    }

    /// Returns once subscribed, or after the first failure.
    func open() async {
        await wait(atMost: Self.patience) {
            $0.isSubscribed || $0.failure != nil
        } before: { [self] in
            let logger = Logger(label: "ws-emit") { _ in SwiftLogNoOpLogHandler() }
            let broker = RedisBroker(url: url, channels: [], patterns: ["*"], eventLoop: eventLoop, logger: logger)
            let traffic = ChannelTraffic()
            state.value = State(broker: broker, traffic: traffic)
            broker.start(delegate: traffic)
        }
    }

    /// Waits for the canary that the instance has sent, if it could send one.
    func waitForCanary(of facts: InstanceFacts) async {
        guard facts.canaryID != nil else { return }
        let hostID = facts.hostID
        await wait(atMost: Self.patience) {
            $0.hasCanary(of: hostID) || $0.failure != nil
        } before: {
        }
    }

    func heard(seconds: Double, facts: InstanceFacts) async -> Diagnosis.Heard {
        let hostID = facts.hostID
        let heard = try? await eventLoop.submit { [state] in
            var heard = Diagnosis.Heard()
            heard.seconds = seconds
            guard let traffic = state.value?.traffic else { return heard }
            heard.emits = traffic.emits
            heard.droppedMessages = traffic.droppedMessages
            heard.messages = traffic.messages
            heard.hasInstanceCanary = traffic.hasCanary(of: hostID)
            if let failure = traffic.failure {
                heard.failure = "\(failure)"
            } else if !traffic.isSubscribed {
                heard.failure = "no reply"
            }
            return heard
        }.get()
        return heard ?? Diagnosis.Heard()
    }

    func close() async {
        try? await eventLoop.flatSubmit { [self] in
            state.value?.traffic.changed = {}
            return state.value?.broker.shutdown() ?? eventLoop.makeSucceededVoidFuture()
        }.get()
    }

    /// Returns once the condition holds, or when the time is over.
    private func wait(
        atMost time: TimeAmount, until condition: @escaping @Sendable (ChannelTraffic) -> Bool,
        before: @escaping @Sendable () -> Void
    ) async {
        let promise = eventLoop.makePromise(of: Void.self)
        let deadline = eventLoop.scheduleTask(in: time) { promise.succeed() }
        eventLoop.execute { [state] in
            before()
            guard let traffic = state.value?.traffic else { return promise.succeed() }
            let bound = NIOLoopBound(traffic, eventLoop: promise.futureResult.eventLoop)
            traffic.changed = { if condition(bound.value) { promise.succeed() } }
            traffic.changed()
        }
        try? await promise.futureResult.get()
        deadline.cancel()
    }
}
