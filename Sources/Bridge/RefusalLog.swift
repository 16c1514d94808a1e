import Bytes
import Logging
import PubSubMessages

/// Explains unusable messages, once per sender and cause, since a faulty sender sends many.
struct RefusalLog {
    private struct Key: Hashable { let hostID: ByteString?, cause: String }
    private var explained: Set<Key> = []
    /// The number of times that all explanations were forgotten.
    private(set) var forgotten = 0
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// Names the mistakes in messages that are delivered all the same.
    ///
    /// - Parameter attachmentCount: the event's attachments, logged if there are too many.
    mutating func log(
        _ mistakes: SenderMistakes, of hostID: ByteString?, redisChannel: UnsafeRawBufferPointer, attachmentCount: Int = 0
    ) {
        for mistake in mistakes.all where isNew(Key(hostID: hostID, cause: "\(mistake)")) {
            var metadata: Logger.Metadata = [
                "cause": "\(mistake.advice)", "host_id": "\(hostID?.description ?? "unknown")",
                "redis_channel": "\(PrintableText.line(redisChannel))",
            ]
            if mistake == .manyAttachments { metadata["attachments"] = "\(attachmentCount)" }
            logger.warning(
                "malformed message delivered as intended: fix its sender (said once per sender and cause)",
                metadata: metadata)
        }
    }

    /// Warns of a sender of large messages, long before Redis's own limit is reached.
    mutating func logLarge(_ byteCount: Int, limit: Int, of hostID: ByteString?) {
        guard isNew(Key(hostID: hostID, cause: "large")) else { return }
        logger.warning(
            "a large message (said once per sender): Redis disconnects a subscriber with 32 MB waiting, and --max-message refuses larger ones",
            metadata: [
                "bytes": "\(byteCount)", "limit_bytes": "\(limit)", "host_id": "\(hostID?.description ?? "none")",
            ])
    }

    private mutating func isNew(_ key: Key) -> Bool {
        if explained.count >= BridgeLimits.explainedRefusals {
            explained.removeAll()
            forgotten += 1
        }
        return explained.insert(key).inserted
    }

    mutating func log(_ error: PubSubMessageError, redisChannel: UnsafeRawBufferPointer) {
        guard isNew(Key(hostID: error.hostID, cause: error.causeName)) else { return }
        logger.warning(
            "unusable message dropped (said once per sender and cause)",
            metadata: [
                "cause": "\(error)", "host_id": "\(error.hostID?.description ?? "unknown")",
                "redis_channel": "\(PrintableText.line(redisChannel))",
            ])
    }
}
