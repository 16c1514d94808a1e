import Bytes
import NIOCore
import PubSubMessages

/// Sends canaries, and tells readiness and metrics how far each has come.
final class CanaryMonitor {
    private var canary: Canary
    private(set) var sentCount = 0
    private(set) var returnedCount = 0
    private let isOn: Bool
    private let hostID: ByteString
    private let publisher: LocalPublisher
    private let eventLoop: any EventLoop
    private let readiness: Readiness
    private let metrics: BridgeMetrics

    init(
        configuration: BridgeConfiguration, hostID: ByteString, loopCount: Int, publisher: LocalPublisher,
        eventLoop: any EventLoop, readiness: Readiness, metrics: BridgeMetrics
    ) {
        canary = Canary(loopCount: loopCount)
        isOn = configuration.canaryInterval != nil && !configuration.redisChannels.isEmpty
        self.hostID = hostID
        self.publisher = publisher
        self.eventLoop = eventLoop
        self.readiness = readiness
        self.metrics = metrics
    }

    /// Starts the next canary; nil if the channel isn't subscribed or canaries are off.
    func next() -> (id: Int64, payload: [UInt8])? {
        guard isOn, readiness.current.isSubscribed else { return nil }
        let id = canary.send(at: eventLoop.now)
        sentCount += 1
        return (id, PubSubMessageEncoder.canary(id: id, hostID: hostID))
    }

    func publish(_ payload: [UInt8]) {
        publisher.publishCanary(payload).assumeIsolated().whenComplete { result in
            var failure: String?
            if case .failure(let error) = result { failure = "\(error)" }
            self.readiness.update { [failure] in $0.publishFailure = failure }
        }
    }

    /// A canary came back: everything published before it has been received.
    ///
    /// - Returns: whether it was awaited; every event loop is then asked to look up a room.
    func arrived(_ id: Int64) -> Bool {
        guard let sent = canary.arrived(id) else { return false }
        readiness.update { $0.missingLoops = sent.missingLoops.sorted() }
        return true
    }

    /// An event loop has looked up a room for it.
    func reached(_ id: Int64, loop: Int) {
        let finished = canary.reached(id, loop: loop)
        let now = eventLoop.now
        readiness.update { state in
            state.missingLoops.removeAll { $0 == loop }
            guard let finished else { return }
            state.lastCanary = finished.sentAt
            state.lastRoundTrip = now - finished.sentAt
        }
        guard let finished else { return }
        returnedCount += 1
        metrics.canaryReturned(after: now - finished.sentAt)
    }

    /// Forgets all canaries: their subscription is gone.
    func removeAll() { canary.removeAll() }
}
