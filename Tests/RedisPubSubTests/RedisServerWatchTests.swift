import NIOCore
import Testing

@testable import RedisPubSub

@Suite struct RedisServerWatchTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var before = ""
        var now = ""
        var signs = RedisServerWatch.Signs(wasAlone: false)
        let cause: RedisError?
    }

    static let limit = RedisOutputBufferLimit()
    /// What a server says that counts its subcommands.
    static let counting = "run_id:1\r\ncmdstat_client|id:calls=1,usec=2\r\n"

    static let cases: [Case] = [
        .init(testDescription: "another process", before: "run_id:1", now: "run_id:2", cause: .restarted),
        .init(testDescription: "nothing known", before: "run_id:1", now: "run_id:1", cause: nil),
        .init(
            testDescription: "counted as dropped", before: "run_id:1\nclient_output_buffer_limit_disconnections:3",
            now: "run_id:1\nclient_output_buffer_limit_disconnections:4", cause: .outputBufferFull(limit)),
        .init(
            testDescription: "counted, and not dropped",
            before: "run_id:1\nclient_output_buffer_limit_disconnections:3",
            now: "run_id:1\nclient_output_buffer_limit_disconnections:3",
            signs: .init(waitingBytes: 100 << 20, wasWithinReply: true), cause: nil),
        .init(
            testDescription: "much had waited", before: "run_id:1", now: "run_id:1",
            signs: .init(waitingBytes: 2 << 20, wasAlone: false), cause: .outputBufferFull(limit)),
        .init(
            testDescription: "much had waited lately", before: "run_id:1",
            now: "run_id:1\nclient_recent_max_output_buffer:9000000", cause: .outputBufferFull(limit)),
        .init(
            testDescription: "a message cut in two", before: "run_id:1", now: "run_id:1",
            signs: .init(wasWithinReply: true, wasAlone: false), cause: .outputBufferFull(limit)),
        .init(
            testDescription: "killed", before: counting, now: counting + "cmdstat_client|kill:calls=2,usec=1",
            signs: .init(wasWithinReply: true), cause: .killed),
        .init(
            testDescription: "evicted", before: "run_id:1\nevicted_clients:1", now: "run_id:1\nevicted_clients:2",
            cause: .evicted),
        .init(
            testDescription: "an ACL was changed", before: counting,
            now: counting + "cmdstat_acl|setuser:calls=1,usec=1", signs: .init(wasAlone: true), cause: nil),
        .init(
            testDescription: "nothing else is left", before: counting, now: counting, signs: .init(wasAlone: true),
            cause: .outputBufferFull(limit)),
        .init(
            testDescription: "the other connection was lost too", before: counting, now: counting, cause: nil),
    ]

    @Test(arguments: cases) func `what a server says before and after tells the cause of a loss`(_ row: Case) {
        let endpoint = RedisURL.Endpoint.tcp(host: "h", port: 1)
        let before = RedisServerWatch.facts(in: row.before, endpoint: endpoint)
        let now = RedisServerWatch.facts(in: row.now, endpoint: endpoint)
        #expect(RedisServerWatch.cause(before, now, row.signs, Self.limit) == row.cause)
    }

    @Test func `the limit is read, printed as Redis spells it and warned of at a quarter`() {
        let text = "normal 0 0 0 slave 268435456 67108864 60 pubsub 1000000 0 30"
        let limit = RedisOutputBufferLimit(configuration: text)
        #expect(limit?.warningBytes == 250_000)
        #expect(
            limit?.description
                == "client-output-buffer-limit pubsub 1000000 0 30, raise it with: "
                + "CONFIG SET client-output-buffer-limit \"pubsub 128mb 32mb 60\"")
        #expect("\(Self.limit)".hasPrefix("client-output-buffer-limit pubsub 32mb 8mb 60 (Redis's default), raise it"))
        #expect(Self.limit.warningBytes == 2 << 20)
        #expect(RedisOutputBufferLimit(configuration: "normal 0 0 0 pubsub 0 0 0")?.warningBytes == nil)
        for text in ["", "pubsub", "pubsub 1 2", "pubsub a b c", "slave 1 2 3"] {
            #expect(RedisOutputBufferLimit(configuration: text) == nil)
        }
    }
}

@Suite struct RedisKeyCommandsTests {
    static let asked = RedisURL.Endpoint.tcp(host: "asked", port: 1)

    static let messages: [(String, RedisURL.Endpoint?, Bool)] = [
        ("MOVED 3999 127.0.0.1:6381", .tcp(host: "127.0.0.1", port: 6_381), false),
        ("ASK 3999 node.example:6381", .tcp(host: "node.example", port: 6_381), true),
        ("MOVED 3999 ::1:6381", .tcp(host: "::1", port: 6_381), false),
        ("MOVED 3999 :6381", .tcp(host: "asked", port: 6_381), false),
        ("MOVED 3999 ?:6381", .tcp(host: "asked", port: 6_381), false),
        ("MOVED 3999", nil, false), ("MOVED 3999 h", nil, false), ("MOVED 3999 h:0", nil, false),
        ("MOVED 3999 h:65536", nil, false), ("CLUSTERDOWN Hash slot not served", nil, false), ("", nil, false),
    ]

    @Test(arguments: messages) func `a redirection is read as the server writes it`(
        _ message: String, _ endpoint: RedisURL.Endpoint?, _ isAsk: Bool
    ) {
        let redirection = RedisKeyCommands.Redirection(message, askedAt: Self.asked)
        #expect(redirection?.endpoint == endpoint)
        #expect((redirection?.isAsk ?? false) == isAsk)
    }

    @Test func `the nodes of a cluster are those with an address`() {
        let text = """
            07c3 127.0.0.1:7004@17004,host.example slave e7d1 0 1426238317239 4 connected
            67ed :7002@17002 myself,master - 0 1426238316232 2 connected 5461-10922
            aaaa :0@0 master,noaddr - 0 0 2 disconnected
            bbbb 127.0.0.1:7009@17009 handshake - 0 0 0 connected
            junk

            """
        #expect(
            RedisKeyCommands.nodes(in: text, askedAt: Self.asked) == [
                .tcp(host: "127.0.0.1", port: 7_004), .tcp(host: "asked", port: 7_002),
            ])
    }
}
