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

    /// - Parameter ended: called when it is time to call `leave`.
    init(subscription: RedisLink, _ context: RedisContext, ended: @escaping () -> Void) {
        self.subscription = subscription
        subscription.retire()
        if let target = subscription.target {
            let locator = RedisSeeds([target], eventLoop: context.eventLoop, wantsMaster: true)
            witness = RedisLink(context, locator: locator) { event in
                switch event {
                case .down(cause: .notMaster, _), .down(_, wasReady: true): ended()
                case .ready, .down: break
                }
            }
            witness?.connect()
        }
        timer = context.schedule(in: context.configuration.lingerTime, ended)
    }

    var endpoint: RedisURL.Endpoint? { subscription.target }

    /// Ends both connections.
    func leave() {
        timer?.cancel()
        _ = subscription.stop()
        _ = witness?.stop()
    }
}
