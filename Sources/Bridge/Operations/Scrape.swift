import NIOCore
import RedisPubSub
import Synchronization

/// Collects what the event loops have counted. A loop that hangs is not waited for: its last known numbers stand.
final class Scrape: Sendable {
    /// One event loop's numbers.
    struct Loop: Sendable {
        var counters = BridgeCounters()
        var sessions = 0
        var connections = 0
        var namespaces = 0
        var sockets = 0
        var rooms = 0
    }

    /// The router's numbers.
    struct Center: Sendable {
        var counters = RouterCounters()
        var redis = RedisCounters()
        var senders: [SenderTable.Entry] = []
        var sendersForgotten = 0
        var gapsForgotten = 0
        var refusalsForgotten = 0
    }

    struct Numbers: Sendable {
        var loops: [Loop]
        var center = Center()
        /// Loops that didn't answer.
        var missing = 0

        var total: Loop {
            loops.reduce(into: Loop()) { sum, loop in
                sum.counters += loop.counters
                sum.sessions += loop.sessions
                sum.connections += loop.connections
                sum.namespaces += loop.namespaces
                sum.sockets += loop.sockets
                sum.rooms += loop.rooms
            }
        }
    }

    private let shards: [NIOLoopBound<Shard>]
    private let router: RouterReference
    private let last: Mutex<Numbers>
    /// How long the slowest loop may take.
    static let patience = TimeAmount.seconds(2)

    init(shards: [NIOLoopBound<Shard>], router: RouterReference) {
        self.shards = shards
        self.router = router
        last = Mutex(Numbers(loops: Array(repeating: Loop(), count: shards.count)))
    }

    /// - Returns: a future of `eventLoop`, which doesn't fail.
    func collect(on eventLoop: any EventLoop) -> EventLoopFuture<Numbers> {
        let loops = shards.map { shard in
            Self.orNothing(on: eventLoop) { shard.eventLoop.submit { shard.value.numbers } }
        }
        let center = Self.orNothing(on: eventLoop) { router.numbers() }
        return EventLoopFuture.whenAllSucceed(loops, on: eventLoop).and(center).map { loops, center in
            self.last.withLock { last in
                last.missing = 0
                for (place, loop) in loops.enumerated() {
                    if let loop { last.loops[place] = loop } else { last.missing += 1 }
                }
                if let center { last.center = center }
                return last
            }
        }
    }

    /// The answer, or nil when there is none in time.
    static func orNothing<Answer: Sendable>(
        on eventLoop: any EventLoop, _ ask: () -> EventLoopFuture<Answer>
    ) -> EventLoopFuture<Answer?> {
        let promise = eventLoop.makePromise(of: Answer?.self)
        let deadline = eventLoop.scheduleTask(in: patience) { promise.succeed(nil) }
        ask().hop(to: eventLoop).whenComplete { result in
            deadline.cancel()
            promise.succeed(try? result.get())
        }
        return promise.futureResult
    }
}

extension Shard {
    var numbers: Scrape.Loop {
        var numbers = Scrape.Loop(counters: counters, sessions: sessionCount, connections: openConnections)
        numbers.namespaces = registry.namespaces.count
        for namespace in registry.namespaces.values {
            numbers.sockets += namespace.sockets.count
            numbers.rooms += namespace.rooms.count
        }
        return numbers
    }
}
