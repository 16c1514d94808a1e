import Foundation
import RedisPubSub
import Testing

@testable import Bridge

/// Numbers in the documents, which must be the defaults.
@Suite struct BridgeConfigurationTests {
    private static let defaults = BridgeConfiguration()
    private static let redis = RedisConfiguration()

    private static func seconds(_ duration: Duration) -> Int64 { duration.components.seconds }
    private static func mebibytes(_ bytes: Int) -> String { "\(bytes >> 20) MiB" }
    private static func grouped(_ number: Int) -> String {
        number < 1000 ? "\(number)" : "\(number / 1000),\(String(number % 1000 + 1000).dropFirst())"
    }

    private static var sentences: [(document: String, text: String)] {
        [
            ("README.md", "| `--cors` | `CORS` | `\(defaults.origins.joined(separator: " "))` |"),
            ("README.md", "| `--channel` | | `\(defaults.redisChannels.joined(separator: " "))` |"),
            ("docs/rooms.md", "| \(defaults.maxRoomsPerSocket) at most (`--max-rooms`)"),
            ("docs/rooms.md", "| \(defaults.maxPendingJoins) at a time |"),
            ("docs/rooms.md", "| \(defaults.maxNameBytes) bytes at most |"),
            ("docs/operating.md", "| \(defaults.maxPendingJoins) joins of one client waiting for Redis |"),
            ("docs/operating.md", "| \(grouped(BridgeLimits.explainedRefusals)) refusals explained in the log |"),
            ("docs/operating.md", "| \(BridgeLimits.loggedOrigins) refused Origins named in the log within a minute |"),
            ("docs/operating.md", "| `redis_oversize_replies` | \(mebibytes(redis.maximumReplyBytes)) for a reply |"),
            ("docs/operating.md", "nothing for `--stall-timeout` (\(seconds(defaults.stallTimeout)) seconds)"),
            ("docs/operating.md", "the same, if more than \(mebibytes(BridgeLimits.stallBytes)) waits"),
            ("docs/operating.md", "and \(mebibytes(BridgeLimits.solicitedBytes)) of acks"),
            ("docs/operating.md", "at most \(mebibytes(defaults.unfinishedLimit)), or sixteen of the largest"),
            ("docs/operating.md", "`--max-message`, at most \(mebibytes(BridgeLimits.redisOutputBytes / 4))"),
            ("docs/operating.md", "at most \(mebibytes(defaults.recoveryBytes)) (`--recovery-bytes`)"),
            ("docs/operating.md", "one room \(mebibytes(defaults.recoveryRoomBytes)) (`--recovery-room-bytes`)"),
            ("docs/rules.md", "| `--keep-bytes` | \(mebibytes(defaults.keepBytes)) |"),
            ("docs/rules.md", "| `--keep-age` | \(seconds(defaults.keepAge)) seconds |"),
            ("docs/rules.md", "| `--keep-room-bytes` | \(mebibytes(defaults.keepRoomBytes)) |"),
            ("docs/rules.md", "| `--keep-room-values` | \(defaults.keepRoomValues) |"),
            ("docs/rules.md", "There may be \(grouped(BridgeLimits.rules)) rules"),
            ("docs/rules.md", "a line may have \(grouped(BridgeLimits.ruleLineBytes)) bytes"),
            ("docs/rules.md", "a file \(mebibytes(BridgeLimits.ruleFileBytes))"),
            ("docs/redis.md", "| `socket_connect_timeout` | seconds | \(seconds(redis.connectTimeout)) |"),
            ("docs/redis.md", "| `socket_timeout` | seconds | \(seconds(redis.commandTimeout)) |"),
            ("docs/redis.md", "| `health_check_interval` | seconds | \(seconds(redis.pingInterval)) |"),
            ("docs/redis.md", "up to \(mebibytes(defaults.maxRedisQueueBytes)) (`--max-redis-queue`)"),
            (
                "docs/cluster.md",
                "\(seconds(defaults.timing.pingInterval + defaults.timing.pingTimeout)) s by default"
            ),
        ]
    }

    @Test(arguments: sentences.indices)
    func `a number in the documents is the default`(index: Int) throws {
        let (document, text) = Self.sentences[index]
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
        let content = try String(contentsOf: root.appendingPathComponent(document), encoding: .utf8)
        #expect(
            content.split(whereSeparator: \.isWhitespace).joined(separator: " ").contains(text), "\(document): \(text)")
    }

    @Test func `bounds that depend on others follow them`() {
        var configuration = BridgeConfiguration()
        #expect(configuration.unfinishedLimit == 64 << 20)
        configuration.maxPayload = 8 << 20
        #expect(configuration.unfinishedLimit == 16 * 8 << 20)
        configuration.maxUnfinishedBytes = 100
        #expect(configuration.unfinishedLimit == 100)
    }

    @Test func `two canaries may be lost before the process isn't ready`() throws {
        let interval = try #require(Self.defaults.canaryInterval)
        #expect(Self.defaults.canaryLimit > interval * 2)
    }
}
