import NIOCore

/// The subscription at a master that sentinels have replaced, kept until that server is no master any more.
///
/// Emitters may publish at the old master until a sentinel demotes it. No message comes twice: the old master and the new one
/// aren't connected before, and the sentinel ends our connection in the same transaction that connects them.
final class RedisFormerMaster {
    private let subscription: RedisLink
    /// The sentinels of Redis 5 end the connections of clients when they demote a master, but not those of subscribers, which
    /// then receive, from the replica, the messages published at the new master. So another client waits to be disconnected.
    private var witness: RedisLink?
    private var timer: Scheduled<Void>?
    private let ended: () -> Void

    /// - Parameter ended: called when it is time to call `leave`.
    init(
        subscription: RedisLink, url: RedisURL, configuration: RedisConfiguration, eventLoop: any EventLoop,
        ended: @escaping () -> Void
    ) {
        self.subscription = subscription
        self.ended = ended
        subscription.retire()
        if let target = subscription.target {
            let locator = RedisSeeds([target], eventLoop: eventLoop, wantsMaster: true)
            let witness = RedisLink(url: url, configuration: configuration, eventLoop: eventLoop, locator: locator) {
                [weak self] event in
                switch event {
                case .down(cause: .notMaster, _), .down(_, wasReady: true): self?.ended()
                case .ready, .down: break
                }
            }
            self.witness = witness
            witness.connect()
        }
        timer = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(configuration.lingerTime)) { [weak self] in
            self?.ended()
        }
    }

    var endpoint: RedisURL.Endpoint? { subscription.target }

    var counters: RedisCounters {
        var sum = subscription.counters
        if let witness { sum.add(witness.counters) }
        return sum
    }

    /// Ends both connections.
    func leave() {
        timer?.cancel()
        _ = subscription.stop()
        _ = witness?.stop()
    }
}
