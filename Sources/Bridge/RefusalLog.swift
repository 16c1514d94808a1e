import JSONCodec
import Logging
import PubSubMessages

/// Explains each unusable message once per sender and cause; a bad sender sends many.
struct RefusalLog {
    private struct Key: Hashable { let hostID: ByteString?, cause: String }
    private var explained: Set<Key> = []
    /// Times that all were forgotten.
    private(set) var forgotten = 0
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// Names the mistakes in messages that are used all the same.
    ///
    /// - Parameter attachmentCount: of the event, which counts if there are too many.
    mutating func log(
        _ mistakes: Complaints, of hostID: ByteString?, redisChannel: UnsafeRawBufferPointer, attachmentCount: Int = 0
    ) {
        for mistake in mistakes.all where isNew(Key(hostID: hostID, cause: "\(mistake)")) {
            var metadata: Logger.Metadata = [
                "cause": "\(mistake.advice)", "host_id": "\(hostID?.description ?? "unknown")",
                "redis_channel": "\(PrintableText.line(redisChannel))",
            ]
            if mistake == .manyAttachments { metadata["attachments"] = "\(attachmentCount)" }
            logger.warning(
                "message taken as it was meant, but its sender should be fixed (said once per sender and cause)",
                metadata: metadata)
        }
    }

    /// Warns of a sender of large messages, long before Redis's own limit.
    mutating func logLarge(_ byteCount: Int, limit: Int, of hostID: ByteString?) {
        guard isNew(Key(hostID: hostID, cause: "large")) else { return }
        logger.warning(
            "a large message (said once per sender): Redis cuts a subscriber off that has 32 MB waiting, and --max-message refuses more",
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
            "message can't be used, dropped (said once per sender and cause)",
            metadata: [
                "cause": "\(error)", "host_id": "\(error.hostID?.description ?? "unknown")",
                "redis_channel": "\(PrintableText.line(redisChannel))",
            ])
    }
}
