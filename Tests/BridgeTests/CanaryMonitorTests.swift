import NIOCore
import PubSubMessages
import RedisPubSub
import Testing

@testable import Bridge

@Suite struct CanaryMonitorTests {
    private static func bridge(loopCount: Int = 2) -> ChannelHarness {
        ChannelHarness(loopCount: loopCount) { $0.canaryInterval = .seconds(5) }
    }

    /// The payloads of the canaries published so far.
    private static func canaries(_ bridge: ChannelHarness) -> [[UInt8]] {
        bridge.broker.published.split(separator: "\n").map { Array($0.drop { $0 != "{" }.utf8) }
    }

    @Test func `a canary that comes back is looked up on every event loop`() {
        let bridge = Self.bridge()
        #expect(Self.canaries(bridge).count == 1, "sent as soon as the channel is subscribed")
        #expect(bridge.readiness.current.lastCanary == nil)
        bridge.publish(Self.canaries(bridge))
        #expect(bridge.readiness.current.lastCanary != nil && bridge.readiness.current.missingLoops.isEmpty)
        #expect(bridge.counters.canariesSent == 1 && bridge.counters.canariesReturned == 1)
    }

    @Test func `an event loop that hangs is named`() {
        let bridge = Self.bridge()
        for canary in Self.canaries(bridge) {
            bridge.router.received(canary.span, on: Span())
        }
        bridge.router.receivedBatch()
        bridge.eventLoops[0].run()
        #expect(bridge.readiness.current.missingLoops == [1])
        bridge.run()
        #expect(bridge.readiness.current.missingLoops.isEmpty && bridge.counters.canariesReturned == 1)
    }

    @Test func `canaries are sent at their interval while the channel is subscribed`() {
        let bridge = Self.bridge()
        bridge.eventLoops[0].advanceTime(by: .seconds(11))
        #expect(Self.canaries(bridge).count == 3)
        bridge.router.subscriptionChanged(.lost(cause: .closedByServer, since: .now()))
        bridge.eventLoops[0].advanceTime(by: .seconds(11))
        #expect(Self.canaries(bridge).count == 3)
    }

    @Test func `a canary of another process, or of an earlier subscription, proves nothing`() {
        let bridge = Self.bridge()
        let old = Self.canaries(bridge)
        bridge.router.subscriptionChanged(.lost(cause: .closedByServer, since: .now()))
        bridge.publish(old)
        bridge.publish(#"{"method":"ws-emit-canary","id":1,"host_id":"another"}"#)
        #expect(bridge.readiness.current.lastCanary == nil && bridge.counters.canariesReturned == 0)
    }

    @Test func `a canary is back when every event loop has found a room, and counts once`() throws {
        let canaries = Self.bridge().router.canaries
        let id = try #require(canaries.next()?.id)
        #expect(canaries.arrived(id))
        let counts = [1, 1, 0, 0].map { loop in
            canaries.reached(id, loop: loop)
            return canaries.returnedCount
        }
        #expect(counts == [0, 0, 1, 1])
    }

    @Test func `a later canary gives up those before it, and a late one still counts`() {
        let canaries = Self.bridge().router.canaries
        let ids = (0..<3).compactMap { _ in canaries.next()?.id }
        #expect([1, 0, 2].map { canaries.arrived(ids[$0]) } == [true, false, true])
    }

    @Test func `canaries of a dead channel don't pile up`() {
        let canaries = Self.bridge().router.canaries
        for _ in 0..<1000 { _ = canaries.next() }
        #expect(canaries.underWay.count == BridgeLimits.pendingCanaries)
        canaries.removeAll()
        #expect(canaries.underWay.isEmpty)
    }
}
