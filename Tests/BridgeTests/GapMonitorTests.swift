import Logging
import NIOCore
import NIOEmbedded
import RedisPubSub
import Testing

@testable import Bridge

@Suite struct GapMonitorTests {
    private final class Bench {
        let eventLoop = EmbeddedEventLoop()
        let readiness = Readiness(loopCount: 1, configuration: BridgeConfiguration())
        let lines = MessageRefusalLogTests.Lines()
        let monitor: GapMonitor
        private(set) var announced = 0

        init() {
            let lines = lines
            monitor = GapMonitor(
                eventLoop: eventLoop, readiness: readiness,
                metrics: BridgeMetrics(),
                logger: Logger(label: "test") { _ in MessageRefusalLogTests.Recorder(lines: lines) })
            monitor.announce = { [unowned self] in
                announced += 1
                _ = monitor.takeAnnouncement()
            }
        }
    }

    @Test func `the first subscription is no gap`() {
        let bench = Bench()
        bench.monitor.subscriptionIsUp()
        bench.eventLoop.advanceTime(by: .seconds(5))
        #expect(bench.readiness.current.isSubscribed && bench.announced == 0 && bench.lines.all.isEmpty)
    }

    @Test func `a gap waits a second for its explanation, and is announced and logged then`() {
        let bench = Bench()
        bench.monitor.subscriptionWasLost(.closedByServer, since: .now())
        #expect(!bench.readiness.current.isSubscribed && bench.readiness.current.gaps.open != nil)
        bench.monitor.subscriptionIsUp()
        #expect(bench.announced == 0 && bench.monitor.announcementIsPending)
        bench.eventLoop.advanceTime(by: .seconds(1))
        #expect(bench.announced == 1 && !bench.monitor.announcementIsPending)
        #expect(bench.lines.all.count == 2 && bench.lines.all[1].contains("the subscription is back"))
    }

    @Test func `Redis's own account of the cause is announced at once, and once`() {
        let bench = Bench()
        bench.monitor.subscriptionWasLost(.closedByServer, since: .now())
        bench.monitor.subscriptionIsUp()
        bench.monitor.explained(.evicted)
        bench.eventLoop.advanceTime(by: .seconds(5))
        #expect(bench.announced == 1 && bench.readiness.current.gaps.closed.map(\.cause) == [.evicted])
    }

    @Test func `an announcement taken early is not made again`() {
        let bench = Bench()
        bench.monitor.subscriptionWasLost(.closedByServer, since: .now())
        bench.monitor.subscriptionIsUp()
        #expect(bench.monitor.takeAnnouncement() != nil && bench.monitor.takeAnnouncement() == nil)
        bench.eventLoop.advanceTime(by: .seconds(5))
        #expect(bench.announced == 0 && bench.lines.all.count == 2, "it is logged all the same")
    }

    @Test func `a gap that follows at once ends the wait of the one before`() {
        let bench = Bench()
        for _ in 0..<2 {
            bench.monitor.subscriptionWasLost(.closedByServer, since: .now())
            bench.monitor.subscriptionIsUp()
        }
        #expect(bench.announced == 1 && bench.readiness.current.gaps.closed.count == 2)
    }
}
