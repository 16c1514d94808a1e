import Logging
import NIOCore

/// The facts that all connections of a ``RedisBroker`` share.
struct RedisContext {
    var url: RedisURL
    var configuration: RedisConfiguration
    let eventLoop: any EventLoop
    let logger: Logger
    /// Counts of all connections together.
    let counts = Counts()

    final class Counts { var total = RedisCounters() }

    /// Runs `body` on the event loop after a delay.
    func schedule(in delay: Duration, _ body: @escaping () -> Void) -> Scheduled<Void> {
        eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay), body)
    }
}
