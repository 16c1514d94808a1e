/// Counts of a ``RedisBroker`` since its start, over all its connections.
package struct RedisCounters: Sendable, Equatable {
    /// Published messages passed to the delegate, and the bytes of their payloads.
    package var messages = 0
    package var messageBytes = 0
    /// How often the subscription was established, the first time included, and lost.
    package var subscriptions = 0
    package var losses = 0
    /// Attempts to connect, and those that failed.
    package var connectionAttempts = 0
    package var failedAttempts = 0
    /// PUBLISH and GET: sent, without a reply in time, and not sent because there was no connection or the queue was full.
    package var commands = 0
    package var expiredCommands = 0
    package var refusedCommands = 0
    /// Connections closed because of a reply over the limit, bytes that are no RESP, and a PING without a reply.
    package var oversizeReplies = 0
    package var malformedReplies = 0
    package var silentPeers = 0
    /// Losses caused by the server's output buffer limit.
    package var outputBufferLosses = 0
    /// How often another master was followed, and reads redirected to another node of a cluster.
    package var failovers = 0
    package var redirects = 0

    package init() {}
}
