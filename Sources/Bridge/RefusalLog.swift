import JSONCodec
import Logging
import PubSubMessages

/// Explains each unusable message once per sender and cause; a bad sender sends many.
struct RefusalLog {
    private struct Key: Hashable { let hostID: ByteString?, cause: String }
    private var explained: Set<Key> = []
    private let logger: Logger
    /// Explanations remembered; then all are forgotten, so that a flood of senders repeats itself at worst.
    private let capacity = 1024

    init(logger: Logger) { self.logger = logger }

    mutating func log(_ error: PubSubMessageError, redisChannel: UnsafeRawBufferPointer) {
        let key = Key(hostID: error.hostID, cause: error.causeName)
        if explained.count >= capacity { explained.removeAll() }
        guard explained.insert(key).inserted else { return }
        logger.warning(
            "message can't be used, dropped (said once per sender and cause)",
            metadata: [
                "cause": "\(error)", "host_id": "\(error.hostID?.description ?? "unknown")",
                "redis_channel": "\(String(decoding: redisChannel, as: UTF8.self))",
            ])
    }
}
