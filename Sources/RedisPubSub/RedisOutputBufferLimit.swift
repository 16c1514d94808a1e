/// How much output Redis keeps for a subscriber that reads too slowly, before it drops the connection and all of it:
/// the class `pubsub` of `client-output-buffer-limit`.
package struct RedisOutputBufferLimit: Hashable, Sendable, CustomStringConvertible {
    /// Dropped at once beyond so many bytes; 0 for no limit.
    package var hardBytes = 32 << 20
    /// Dropped beyond so many bytes for so long; 0 for no limit.
    package var softBytes = 8 << 20
    package var softSeconds = 60
    /// Whether the server said so; otherwise these are Redis's defaults, which a server may not let us read.
    package var isFromServer = false

    package init() {}

    /// Reads the value of `CONFIG GET client-output-buffer-limit`: `normal 0 0 0 slave … pubsub 33554432 8388608 60`.
    init?(configuration text: String) {
        let words = text.split(separator: " ")
        guard let index = words.firstIndex(of: "pubsub"), words.count >= index + 4, let hard = Int(words[index + 1]),
            let soft = Int(words[index + 2]), let seconds = Int(words[index + 3])
        else { return nil }
        (hardBytes, softBytes, softSeconds, isFromServer) = (hard, soft, seconds, true)
    }

    /// The size that calls for a warning, far from both limits: a quarter of the lower one; nil without limits. One message
    /// over the hard limit is dropped with the connection of each of its subscribers.
    package var warningBytes: Int? {
        [hardBytes, softBytes].filter { $0 > 0 }.min().map { max($0 / 4, 1) }
    }

    /// The setting as Redis spells it, and how to raise it.
    package var description: String {
        let setting = "client-output-buffer-limit pubsub \(Self.size(hardBytes)) \(Self.size(softBytes)) \(softSeconds)"
        let raised = RedisOutputBufferLimit.raised(self)
        return setting + (isFromServer ? "" : " (Redis's default)")
            + ", raise it with: CONFIG SET client-output-buffer-limit \"pubsub \(raised)\""
    }

    private static func raised(_ limit: RedisOutputBufferLimit) -> String {
        "\(size(max(limit.hardBytes * 4, 128 << 20))) \(size(max(limit.softBytes * 4, 32 << 20))) \(max(limit.softSeconds, 60))"
    }

    private static func size(_ bytes: Int) -> String {
        bytes > 0 && bytes % (1 << 20) == 0 ? "\(bytes >> 20)mb" : "\(bytes)"
    }
}
