import NIOCore
import RedisPubSub
import Testing

@testable import Bridge

/// `POST /emit` while Redis doesn't take it.
@Suite struct UnpublishedEmitTests {
    private static let body = #"{"secret":"123","event":"update","room":"r","data":1}"#

    @Test(arguments: [RedisError.queueFull, .notConnected, .commandTimedOut])
    func `an emit that can't be published says so, and reaches the clients here`(_ obstacle: RedisError) throws {
        let harness = try HTTPHarness()
        #expect(harness.emit(Self.body).hasSuffix("\r\n\r\nOK\n"))
        let session = harness.harness.makeSession()
        let socket = harness.harness.shard.registry.connect(
            session, to: "/", sid: SessionID.make(loop: 0, instance: .init()))
        harness.harness.shard.registry.enter(socket, room: "r")
        harness.broker.obstacle = obstacle
        let published = harness.broker.published
        let answer = harness.emit(Self.body)
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.contains("Content-Type: application/json"))
        #expect(answer.contains(#"{"published":false,"reasons":[{"code":"not_published","text":"#))
        #expect(answer.contains("\(obstacle)"))
        #expect(harness.broker.published == published)
        #expect(harness.harness.poll(session).packets.contains(#"42["update",1]"#))
        let counters = harness.counters()
        #expect(counters?.publishFailures == 1 && counters?.publishQueueFull == (obstacle == .queueFull ? 1 : 0))
        harness.broker.obstacle = nil
        #expect(harness.emit(Self.body).hasSuffix("\r\n\r\nOK\n"))
    }

    @Test func `after a refused message the next ones say so, until one is taken`() throws {
        let harness = try HTTPHarness()
        harness.broker.failure = .refused(command: .publish, message: "NOPERM; permit it with: x")
        #expect(harness.emit(Self.body).hasSuffix("OK\n"))
        #expect(harness.emit(Self.body).contains("NOPERM; permit it with: x"))
        harness.broker.failure = nil
        #expect(harness.emit(Self.body).contains("NOPERM"))
        #expect(harness.emit(Self.body).hasSuffix("OK\n"))
    }

    @Test func `what fails after the answer is counted`() throws {
        let harness = try HTTPHarness()
        harness.broker.failure = .closedByServer
        #expect(harness.emit(Self.body).hasSuffix("OK\n"))
        #expect(harness.counters()?.publishFailures == 1)
    }
}
