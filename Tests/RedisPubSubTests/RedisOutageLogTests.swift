import Logging
import NIOCore
import Testing

@testable import RedisPubSub

@Suite struct RedisOutageLogTests {
    private let log = CapturingLog()
    private static let start = NIODeadline.uptimeNanoseconds(1_000)
    private static func at(_ milliseconds: Int64) -> NIODeadline { start + .milliseconds(milliseconds) }
    private static let unreachable = RedisError.unreachable(reason: "Connection refused")
    private static let refused = RedisError.refused(command: .ping, message: "NOAUTH x")

    private var logger: Logger {
        let log = log
        return Logger(label: "test") { _ in log }
    }

    private func outages() -> RedisOutageLog { RedisOutageLog(logger: logger, start: Self.start) }

    @Test func `a restart within a second is logged once when it begins and once when it is over`() {
        var outages = outages()
        let first = outages.connectionIsDown(.closedByServer, wasReady: true, at: Self.at(5_000))
        #expect(first == RedisOutage(since: Self.at(5_000), cause: .closedByServer))
        let second = outages.connectionIsDown(Self.unreachable, wasReady: false, at: Self.at(5_900))
        #expect(second == RedisOutage(since: Self.at(5_000), cause: Self.unreachable))
        let isOver = outages.connectionsAreUp(["c"], at: Self.at(7_000))
        #expect(isOver)
        #expect(
            log.lines == [
                "warning Redis is away, trying again until it is back away_seconds=0 cause=Redis closed the connection",
                "notice Redis is back away_seconds=2",
            ])
    }

    @Test func `an unreachable server is logged after a second, each cause once a minute`() {
        var outages = outages()
        _ = outages.connectionIsDown(.closedByServer, wasReady: true, at: Self.at(0))
        for second in 1...90 as ClosedRange<Int64> {
            _ = outages.connectionIsDown(Self.unreachable, wasReady: false, at: Self.at(second * 1_000))
        }
        #expect(log.lines.count { $0.contains("Connection refused") } == 2)
        #expect(log.lines.count == 3)
    }

    @Test func `a refusal is logged at once, and as the present cause`() {
        var outages = outages()
        _ = outages.connectionIsDown(.closedByServer, wasReady: true, at: Self.at(0))
        let outage = outages.connectionIsDown(Self.refused, wasReady: false, at: Self.at(1))
        #expect(outage.cause == Self.refused)
        #expect(log.lines.last?.contains("NOAUTH") == true)
    }

    @Test func `the first connection is no end of an outage`() {
        var outages = outages()
        let isOver = outages.connectionsAreUp(["a", "b"], at: Self.at(1))
        #expect(!isOver)
        #expect(log.lines == ["info Connected to Redis channels=a b"])
    }

    // MARK: Losses

    private static let endpoint = RedisURL.Endpoint.tcp(host: "h", port: 1)

    private static func loss(_ cause: RedisError) -> RedisUnexplainedLoss {
        RedisUnexplainedLoss(
            cause: cause, since: at(0), until: at(2_000), noticed: at(1_000), endpoint: endpoint, wasWithinReply: false)
    }

    @Test func `only the server that closed the connection is asked why`() {
        let other = RedisURL.Endpoint.tcp(host: "other", port: 1)
        #expect(Self.loss(.closedByServer).serverToAsk(connectedTo: Self.endpoint) == Self.endpoint)
        #expect(Self.loss(.broken(reason: "x")).serverToAsk(connectedTo: Self.endpoint) == Self.endpoint)
        #expect(Self.loss(.closedByServer).serverToAsk(connectedTo: other) == nil)
        #expect(Self.loss(.silent).serverToAsk(connectedTo: Self.endpoint) == nil)
    }

    @Test(
        arguments: [
            (.closedByServer, nil, "warning", "possibly=CLIENT KILL, or client-output-buffer-limit pubsub"),
            (.closedByServer, .killed, "warning", "cause=somebody ended the subscription with CLIENT KILL"),
            (
                .closedByServer, .outputBufferFull(RedisOutputBufferLimit()), "warning",
                "raise it with: CONFIG SET client-output-buffer-limit"
            ),
            (.closedByServer, .restarted, "debug", "cause=Redis was restarted"),
            (.silent, nil, "debug", "cause=Redis has gone silent"),
        ] as [(RedisError, RedisError?, String, String)])
    func `a loss is logged with its best cause, as a warning unless the outage log has told of it`(
        _ cause: RedisError, _ better: RedisError?, _ level: String, _ part: String
    ) {
        let explained = Self.loss(cause).explained(by: better, at: Self.at(9_000), RedisOutputBufferLimit(), logger)
        #expect(explained == SubscriptionLoss(cause: better ?? cause, since: Self.at(0), until: Self.at(2_000)))
        // The log of the tests keeps no debug lines.
        #expect(log.lines.count == (level == "debug" ? 0 : 1))
        if let line = log.lines.first { #expect(line.hasPrefix(level) && line.contains(part)) }
    }
}
