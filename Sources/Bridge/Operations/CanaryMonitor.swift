import Bytes
import NIOCore
import PubSubMessages

/// Sends canaries, which are messages from this process to itself through Redis, and tells readiness and metrics how far each
/// has come.
///
///     sent ──PUBLISH──▶ Redis ──our subscription──▶ decoder: arrived ──▶ every event loop: reached ─▶ round trip
final class CanaryMonitor {
    struct Canary {
        let id: Int64
        let sentAt: NIODeadline
        /// Event loops that have not looked up a room for it yet.
        var missingLoops: Set<Int>
    }

    /// Oldest first.
    private(set) var underWay: [Canary] = []
    /// Random at first, so that a canary of an earlier process isn't taken for ours.
    private var lastID = Int64.random(in: 0...Int64.max / 2)
    private(set) var sentCount = 0
    private(set) var returnedCount = 0
    private let loopCount: Int
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
        self.loopCount = loopCount
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
        lastID += 1
        sentCount += 1
        if underWay.count >= BridgeLimits.pendingCanaries { underWay.removeFirst() }
        underWay.append(Canary(id: lastID, sentAt: eventLoop.now, missingLoops: Set(0..<loopCount)))
        return (lastID, PubSubMessageEncoder.canary(id: lastID, hostID: hostID))
    }

    func publish(_ payload: [UInt8]) {
        publisher.publishInternal(payload).assumeIsolated().whenComplete { result in
            var failure: String?
            if case .failure(let error) = result { failure = "\(error)" }
            self.readiness.update { [failure] in $0.publishFailure = failure }
        }
    }

    /// A canary came back: everything published before it has been received. Earlier ones are given up.
    ///
    /// - Returns: whether it was awaited; every event loop is then asked to look up a room.
    func arrived(_ id: Int64) -> Bool {
        guard let index = underWay.firstIndex(where: { $0.id == id }) else { return false }
        underWay.removeFirst(index)
        let missingLoops = underWay[0].missingLoops.sorted()
        readiness.update { $0.missingLoops = missingLoops }
        return true
    }

    /// An event loop has looked up a room for it.
    func reached(_ id: Int64, loop: Int) {
        readiness.update { state in state.missingLoops.removeAll { $0 == loop } }
        guard let index = underWay.firstIndex(where: { $0.id == id }) else { return }
        underWay[index].missingLoops.remove(loop)
        guard underWay[index].missingLoops.isEmpty else { return }
        let sentAt = underWay.remove(at: index).sentAt
        let roundTrip = eventLoop.now - sentAt
        returnedCount += 1
        readiness.update { state in
            state.lastCanary = sentAt
            state.lastRoundTrip = roundTrip
        }
        metrics.canaryReturned(after: roundTrip)
    }

    /// Forgets all canaries: their subscription is gone.
    func removeAll() { underWay = [] }
}
