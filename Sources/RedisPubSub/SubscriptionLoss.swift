import NIOCore

/// One time without a subscription, once it is over and the server has been asked what it knows of it.
package struct SubscriptionLoss: Sendable, Equatable {
    /// The best explanation there is; may be better than the one that ``SubscriptionState/lost(cause:since:)`` gave.
    package let cause: RedisError
    /// All that was published before has been received.
    package let since: NIODeadline
    /// All that is published after will be.
    package let until: NIODeadline
}
