import PubSubMessages

/// Counts the messages that passed through the router, as plain integers.
struct RouterCounters: CounterTable, Sendable {
    var messagesReceived = 0
    var messagesDelivered = 0
    var messagesForNobody = 0
    var messagesIgnored = 0
    var messagesRefused = 0
    var messagesCorrected = 0
    var messagesLarge = 0
    var messagesManyAttachments = 0
    var httpMessages = 0
    var publishFailures = 0
    var publishQueueFull = 0
    var secretsUnusable = 0
    var subscriptionChanges = 0
    var canariesSent = 0
    var canariesReturned = 0
    var keptWrites = 0
    var keptStoreFailures = 0
    var keptDamaged = 0
    var keptLeasesTaken = 0
    var sendersForgotten = 0
    var explanationsForgotten = 0
    var gapsForgotten = 0
    /// Emits by their format.
    var emits = CaseCounts<Dialect>()
    /// Attempts to recover a connection.
    var recoveries = CaseCounts<RecoveryResult>()
    /// Messages that reached no client, by reason.
    var drops = CaseCounts<DropReason>()

    /// Name, help text and key path of each counter.
    static var fields: [(name: String, help: String, path: WritableKeyPath<RouterCounters, Int>)] {
        [
            ("messages_received", "Messages read from the Redis channels, including our own.", \.messagesReceived),
            ("messages_delivered", "Events for clients here.", \.messagesDelivered),
            ("messages_for_nobody", "Events for a room or namespace without clients here.", \.messagesForNobody),
            ("messages_ignored", "Messages that mean nothing here, including our own.", \.messagesIgnored),
            ("messages_refused", "Unusable messages.", \.messagesRefused),
            ("messages_corrected", "Messages with a mistake, taken as intended.", \.messagesCorrected),
            ("messages_large", "Messages beyond a quarter of --max-message.", \.messagesLarge),
            (
                "messages_many_attachments", "Events with more than the 10 attachments that JavaScript clients accept.",
                \.messagesManyAttachments
            ),
            ("http_messages", "Messages taken by POST /emit.", \.httpMessages),
            ("publish_failures", "Messages that could not be published.", \.publishFailures),
            ("publish_queue_full", "Messages not published: --max-redis-queue was reached.", \.publishQueueFull),
            ("secrets_unusable", "Secrets in Redis that are no text or exceed --max-secret.", \.secretsUnusable),
            ("subscription_changes", "Times the subscription came up or was lost.", \.subscriptionChanges),
            ("canaries_sent", "Canaries sent.", \.canariesSent),
            ("canaries_returned", "Canaries that came back and reached every event loop.", \.canariesReturned),
            ("kept_writes", "Kept messages written to Redis or deleted there.", \.keptWrites),
            (
                "kept_store_failures", "Reads and writes of kept messages that Redis refused or missed.",
                \.keptStoreFailures
            ),
            ("kept_damaged", "Kept messages in Redis that can't be read.", \.keptDamaged),
            ("kept_leases_taken", "Times that this server became the writer of kept messages.", \.keptLeasesTaken),
            (
                "senders_forgotten", "Senders that made room for others: --max-senders was reached.",
                \.sendersForgotten
            ),
            (
                "explanations_forgotten", "Times that the record of explained refusals was full and began anew.",
                \.explanationsForgotten
            ),
            ("gaps_forgotten", "Gaps no longer in the history: --max-gaps was reached.", \.gapsForgotten),
        ]
    }
}
