import Bytes
import Logging
import PubSubMessages

/// Explains malformed and unusable messages, once per sender and cause, since a faulty sender sends many.
struct MessageRefusalLog {
    private struct Key: Hashable { let hostID: ByteString?, cause: String }
    private var explained: Set<Key> = []
    /// The number of times that all explanations were forgotten.
    private(set) var forgotten = 0
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// Names the mistakes in messages that are used all the same.
    ///
    /// - Parameter attachmentCount: the event's attachments, logged if there are too many.
    mutating func log(
        _ mistakes: SenderMistakes, of hostID: ByteString?, redisChannel: Span<UInt8>,
        attachmentCount: Int = 0
    ) {
        for mistake in mistakes.all {
            let sentence =
                mistake == .roomNotText
                ? "a message for a room that is not text reaches nobody: fix its sender"
                : "malformed message delivered as intended: fix its sender"
            warn(of: "\(mistake)", by: hostID, "\(sentence) (logged once per sender and cause)") {
                $0["cause"] = "\(mistake.advice)"
                $0["redis_channel"] = "\(PrintableText.line(redisChannel))"
                if mistake == .manyAttachments { $0["attachments"] = "\(attachmentCount)" }
            }
        }
    }

    /// Warns of a sender of large messages, long before Redis's own limit is reached.
    mutating func logLarge(_ byteCount: Int, limit: Int, of hostID: ByteString?) {
        warn(
            of: "large", by: hostID,
            "a large message (logged once per sender): Redis disconnects a subscriber with 32 MB waiting, and --max-message refuses larger ones"
        ) {
            $0["bytes"] = "\(byteCount)"
            $0["limit_bytes"] = "\(limit)"
        }
    }

    mutating func log(_ error: PubSubMessageError, redisChannel: Span<UInt8>) {
        warn(of: error.causeName, by: error.hostID, "unusable message dropped (logged once per sender and cause)") {
            $0["cause"] = "\(error)"
            $0["redis_channel"] = "\(PrintableText.line(redisChannel))"
        }
    }

    private mutating func warn(
        of cause: String, by hostID: ByteString?, _ sentence: String, _ addFacts: (inout Logger.Metadata) -> Void
    ) {
        if explained.count >= BridgeLimits.explainedRefusals {
            explained.removeAll()
            forgotten += 1
        }
        guard explained.insert(Key(hostID: hostID, cause: cause)).inserted else { return }
        var facts: Logger.Metadata = ["host_id": "\(hostID?.description ?? "none")"]
        addFacts(&facts)
        logger.warning("\(sentence)", metadata: facts)
    }
}
