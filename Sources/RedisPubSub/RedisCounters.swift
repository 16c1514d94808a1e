/// What a ``RedisBroker`` has done since its start.
package struct RedisCounters: Sendable, Equatable {
    /// Published messages handed to the delegate, and their payloads' bytes.
    package var messages = 0
    package var messageBytes = 0
    /// Times that the subscription was established, the first included, and lost.
    package var subscriptions = 0
    package var losses = 0
    /// Attempts to connect, and those that failed; both connections.
    package var connectionAttempts = 0
    package var failedAttempts = 0
    /// PUBLISH and GET: sent, unanswered in time, and not sent because there was no connection or the queue was full.
    package var commands = 0
    package var expiredCommands = 0
    package var refusedCommands = 0
    /// Connections dropped because of a reply over the limit, or of bytes that are no RESP, or of an unanswered PING.
    package var oversizeReplies = 0
    package var malformedReplies = 0
    package var silentPeers = 0

    /// Losses that were the server's output buffer limit.
    package var outputBufferLosses = 0
    /// Times that another master was followed, and reads that another node of a cluster had to answer.
    package var failovers = 0
    package var redirects = 0

    package init() {}

    mutating func add(_ other: RedisCounters) {
        messages += other.messages
        messageBytes += other.messageBytes
        subscriptions += other.subscriptions
        losses += other.losses
        connectionAttempts += other.connectionAttempts
        failedAttempts += other.failedAttempts
        commands += other.commands
        expiredCommands += other.expiredCommands
        refusedCommands += other.refusedCommands
        oversizeReplies += other.oversizeReplies
        malformedReplies += other.malformedReplies
        silentPeers += other.silentPeers
        outputBufferLosses += other.outputBufferLosses
        failovers += other.failovers
        redirects += other.redirects
    }
}
