import PubSubMessages

/// Counts the messages that passed through the router, as plain integers.
package struct RouterCounters: Sendable {
    package var messagesReceived = 0
    package var messagesDelivered = 0
    package var messagesForNobody = 0
    package var messagesIgnored = 0
    package var messagesRefused = 0
    package var messagesCorrected = 0
    package var messagesLarge = 0
    package var messagesManyAttachments = 0
    package var httpMessages = 0
    package var publishFailures = 0
    package var publishQueueFull = 0
    package var secretsUnusable = 0
    package var subscriptionChanges = 0
    package var canariesSent = 0
    package var canariesReturned = 0
    /// Emits by their format.
    package var emitsPickle = 0
    package var emitsJSON5_14_0 = 0
    package var emitsJSON5_14_2 = 0
    package var emitsJSON5_15_1 = 0
    /// Messages that reached no client, by reason.
    var drops = CaseCounts<DropReason>()

    mutating func count(_ dialect: Dialect) {
        switch dialect {
        case .pickle: emitsPickle += 1
        case .json5_14_0: emitsJSON5_14_0 += 1
        case .json5_14_2: emitsJSON5_14_2 += 1
        case .json5_15_1: emitsJSON5_15_1 += 1
        }
    }

    func emits(_ dialect: Dialect) -> Int {
        switch dialect {
        case .pickle: emitsPickle
        case .json5_14_0: emitsJSON5_14_0
        case .json5_14_2: emitsJSON5_14_2
        case .json5_15_1: emitsJSON5_15_1
        }
    }

    /// Names and values of the counters that aren't zero, for the log.
    package var nonZero: [(name: String, value: Int)] {
        Self.fields.map { ($0.name, self[keyPath: $0.path]) }.filter { $0.1 != 0 }
    }

    /// Name, help text and key path of each counter.
    static var fields: [(name: String, help: String, path: WritableKeyPath<RouterCounters, Int>)] {
        [
            ("messages_received", "Messages read from the Redis channels, including our own.", \.messagesReceived),
            ("messages_delivered", "Events for clients here.", \.messagesDelivered),
            ("messages_for_nobody", "Events for a room or namespace without clients here.", \.messagesForNobody),
            ("messages_ignored", "Messages that mean nothing here, including our own.", \.messagesIgnored),
            ("messages_refused", "Unusable messages.", \.messagesRefused),
            (
                "messages_corrected", "Messages with a mistake, delivered as intended.",
                \.messagesCorrected
            ),
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
        ]
    }
}
