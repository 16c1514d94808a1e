/// How much output Redis keeps for a slow subscriber before it closes the connection and discards the output: the class
/// `pubsub` of `client-output-buffer-limit`.
package struct RedisOutputBufferLimit: Hashable, Sendable, CustomStringConvertible {
    /// With more bytes the connection is closed at once; 0 for no limit.
    package var hardBytes = 32 << 20
    /// With more bytes for `softSeconds` the connection is closed; 0 for no limit.
    package var softBytes = 8 << 20
    package var softSeconds = 60
    /// True if the server has reported the limit; otherwise these are Redis's defaults, as a server may forbid CONFIG GET.
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

    /// The size from which on a warning is due: a quarter of the lower limit; nil without limits. One message over the hard
    /// limit is enough for Redis to disconnect each of its subscribers.
    package var warningBytes: Int? {
        [hardBytes, softBytes].filter { $0 > 0 }.min().map { max($0 / 4, 1) }
    }

    /// The setting in Redis's spelling, and the command that raises it.
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
