import NIOCore
import RedisPubSub
import Synchronization

/// The router's numbers.
struct RouterNumbers: Sendable {
    var counters = RouterCounters()
    var redis = RedisCounters()
    var senders: [SenderTable.Entry] = []
    var kept = KeptMessages.Numbers()
}

/// Collects the counters of the event loops. A loop that hangs keeps nobody waiting: its last known numbers are used.
final class Scrape: Sendable {
    /// One event loop's numbers.
    struct Loop: Sendable {
        var counters = BridgeCounters()
        var sessions = 0
        var connections = 0
        var sockets = 0
        var rooms = 0
    }

    struct Numbers: Sendable {
        var loops: [Loop]
        var router = RouterNumbers()
        /// Loops that didn't reply in time.
        var missing = 0

        var total: Loop {
            loops.reduce(into: Loop()) { sum, loop in
                sum.counters += loop.counters
                sum.sessions += loop.sessions
                sum.connections += loop.connections
                sum.sockets += loop.sockets
                sum.rooms += loop.rooms
            }
        }
    }

    private let shards: [NIOLoopBound<Shard>]
    private let router: RouterReference
    private let last: Mutex<Numbers>

    init(shards: [NIOLoopBound<Shard>], router: RouterReference) {
        self.shards = shards
        self.router = router
        last = Mutex(Numbers(loops: Array(repeating: Loop(), count: shards.count)))
    }

    /// - Returns: a future of `eventLoop`, which doesn't fail.
    func collect(on eventLoop: any EventLoop) -> EventLoopFuture<Numbers> {
        let loops = shards.map { shard in
            Self.nilAfterTimeout(on: eventLoop) { shard.eventLoop.submit { shard.value.numbers } }
        }
        let routerNumbers = Self.nilAfterTimeout(on: eventLoop) { router.numbers() }
        return EventLoopFuture.whenAllSucceed(loops, on: eventLoop).and(routerNumbers).map { loops, routerNumbers in
            self.last.withLock { last in
                last.missing = 0
                for (index, loop) in loops.enumerated() {
                    if let loop { last.loops[index] = loop } else { last.missing += 1 }
                }
                if let routerNumbers { last.router = routerNumbers }
                return last
            }
        }
    }

    /// The result of `ask`; nil after the timeout or a failure.
    static func nilAfterTimeout<Value: Sendable>(
        on eventLoop: any EventLoop, _ ask: () -> EventLoopFuture<Value>
    ) -> EventLoopFuture<Value?> {
        let promise = eventLoop.makePromise(of: Value?.self)
        let deadline = eventLoop.scheduleTask(in: BridgeLimits.collectTimeout) { promise.succeed(nil) }
        ask().hop(to: eventLoop).whenComplete { result in
            deadline.cancel()
            promise.succeed(try? result.get())
        }
        return promise.futureResult
    }
}

extension Shard {
    var numbers: Scrape.Loop {
        var numbers = Scrape.Loop(counters: counters, sessions: sessions.count, connections: connections.openCount)
        for namespace in registry.namespaces.values {
            numbers.sockets += namespace.sockets.count
            numbers.rooms += namespace.rooms.count
        }
        return numbers
    }
}
