import Bytes
import Logging
import NIOCore
import NIOEmbedded
import PubSubMessages
import RedisPubSub
import Testing

@testable import Bridge

@Suite struct LocalPublisherTests {
    private final class Bench {
        let broker = RecordingBroker(eventLoop: EmbeddedEventLoop())
        let lines = MessageRefusalLogTests.Lines()
        let publisher: LocalPublisher

        init() {
            let lines = lines
            publisher = LocalPublisher(
                broker: broker, configuration: BridgeConfiguration(),
                logger: Logger(label: "test") { _ in MessageRefusalLogTests.Recorder(lines: lines) })
        }
    }

    private static let emit = Array(
        #"{"method":"emit","event":"x","data":1,"namespace":"/","room":null,"host_id":"us"}"#.utf8)

    @Test func `emits are collected until the batch is published`() {
        let bench = Bench()
        #expect(!bench.publisher.hasBatch)
        for _ in 0..<2 { #expect(bench.publisher.append(Self.emit, as: .json) == nil) }
        #expect(bench.publisher.hasBatch && bench.broker.published.isEmpty)
        bench.publisher.publishBatch()
        #expect(!bench.publisher.hasBatch && bench.broker.published.split(separator: "PUBLISH").count == 3)
    }

    @Test func `a batch is full before it takes much memory`() {
        let bench = Bench()
        var count = 0
        while !bench.publisher.isBatchFull, count < 10_000 {
            _ = bench.publisher.append(Self.emit, as: .json)
            count += 1
        }
        #expect((1000..<5000).contains(count))
    }

    @Test func `each cause is logged once, and again in the next outage`() {
        let bench = Bench()
        bench.broker.obstacle = .notConnected
        for _ in 0..<3 { #expect(bench.publisher.append(Self.emit, as: .json) == .notConnected) }
        bench.broker.obstacle = .queueFull
        _ = bench.publisher.append(Self.emit, as: .json)
        #expect(bench.lines.all.count == 2 && bench.lines.all[1].contains("--max-redis-queue"))
        #expect(bench.publisher.failureCount == 4 && bench.publisher.queueFullCount == 1)
        bench.publisher.subscriptionIsUp()
        _ = bench.publisher.append(Self.emit, as: .json)
        #expect(bench.lines.all.count == 3)
    }

    @Test func `emits are written for releases before 5_15_1 while only those are seen`() {
        let bridge = ChannelHarness()
        let (publisher, senders) = (bridge.router.publisher, bridge.router.senders)
        #expect(publisher.format(for: senders) == .json)
        bridge.publish(ChannelHarness.message(["data": "5"]), ChannelHarness.message(["data": "[1,2]"]))
        #expect(publisher.format(for: senders) == .bareJSON)
        bridge.publish(ChannelHarness.message(["data": "[[1]]", "host_id": #""newer""#]))
        #expect(publisher.format(for: senders) == .json)
    }
}
