import NIOCore
import NIOPosix
import RedisPubSub
import Testing

@testable import Bridge

@Suite struct ReadinessTests {
    private static func make(_ change: (inout BridgeConfiguration) -> Void = { _ in }) -> Readiness {
        var configuration = BridgeConfiguration()
        change(&configuration)
        return Readiness(loopCount: 2, configuration: configuration)
    }

    private static func codes(_ readiness: Readiness, after delay: TimeAmount = .zero) -> [String] {
        readiness.reasons(at: .now() + delay).map(\.code.rawValue)
    }

    @Test func `it is starting until subscribed and a canary is home`() {
        let readiness = Self.make()
        #expect(Self.codes(readiness) == ["starting"])
        readiness.update { $0.isSubscribed = true }
        #expect(Self.codes(readiness) == ["starting"])
        readiness.update { $0.lastCanary = .now() }
        #expect(Self.codes(readiness).isEmpty)
    }

    @Test func `an old canary makes it not ready`() {
        let readiness = Self.make { $0.canaryLimit = .seconds(12) }
        readiness.update {
            $0.isSubscribed = true
            $0.lastCanary = .now()
        }
        #expect(Self.codes(readiness, after: .seconds(11)).isEmpty)
        #expect(Self.codes(readiness, after: .seconds(13)) == ["canary_overdue"])
    }

    @Test func `a canary that never came is overdue too`() {
        let readiness = Self.make { $0.canaryLimit = .seconds(12) }
        readiness.update { $0.isSubscribed = true }
        #expect(Self.codes(readiness, after: .seconds(13)) == ["canary_overdue"])
    }

    @Test func `without canaries the subscription decides`() {
        let readiness = Self.make { $0.canaryInterval = nil }
        readiness.update { $0.isSubscribed = true }
        #expect(Self.codes(readiness, after: .seconds(29)).isEmpty)
    }

    @Test func `an open gap and the end of the process are reasons`() {
        let readiness = Self.make()
        readiness.update {
            $0.gaps.begin(from: 1, cause: .silent)
            $0.isStopping = true
        }
        #expect(Self.codes(readiness) == ["stopping", "subscription_lost"])
    }

    @Test func `an outage is told with its present cause, its first one and how long it has lasted`() {
        let readiness = Self.make()
        readiness.update {
            $0.gaps.begin(from: 1, cause: .closedByServer)
            $0.outage = RedisOutage(since: .now() - .seconds(90), cause: .unreachable(reason: "Connection refused"))
        }
        let text = readiness.reasons(at: .now()).first?.text ?? ""
        #expect(text.contains("away for 90 seconds: Redis can't be reached: Connection refused"))
        #expect(text.contains("it began otherwise: Redis closed the connection"))
        let details = JSONValue.object(readiness.details(at: .now())).line
        #expect(
            details.contains(
                #""seconds":90,"cause":"unreachable","detail":"Redis can't be reached: Connection refused""#))
        readiness.update {
            $0.gaps.end(at: 2)
            $0.isSubscribed = true
        }
        #expect(readiness.reasons(at: .now()).first?.text.contains("Connection refused") == true)
        readiness.update { $0.outage = nil }
        #expect(JSONValue.object(readiness.details(at: .now())).line.contains(#""redis_outage":null"#))
    }

    @Test(.timeLimit(.minutes(1))) func `an event loop that hangs is found`() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let readiness = Self.make { $0.stuckLoopLimit = .milliseconds(200) }
        let loops = Array(group.makeIterator())
        let timers = zip(loops, readiness.heartbeats).map { loop, heartbeat in
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(10)) { _ in heartbeat.beat() }
        }
        let release = group.any().makePromise(of: Void.self)
        loops[1].execute {
            // Blocks, as code that forgot itself would.
            while readiness.stuckLoops(at: .now()) != [1] {}
            release.succeed()
        }
        try await release.futureResult.get()
        for timer in timers { timer.cancel() }
        try await group.shutdownGracefully()
    }
}
