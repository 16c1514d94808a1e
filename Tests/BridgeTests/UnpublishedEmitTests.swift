import NIOCore
import RedisPubSub
import Testing

@testable import Bridge

/// `POST /emit` while Redis doesn't take it.
@Suite struct UnpublishedEmitTests {
    private static let body = #"{"secret":"123","event":"update","room":"r","data":1}"#

    @Test(arguments: [RedisError.queueFull, .notConnected, .commandTimedOut])
    func `an emit that can't be published says so, and reaches the clients here`(_ obstacle: RedisError) throws {
        let bench = try HTTPBench()
        #expect(bench.emit(Self.body).hasSuffix("\r\n\r\nOK\n"))
        let session = bench.bench.makeSession()
        let socket = bench.bench.shard.registry.connect(
            session, to: "/", sid: SessionID.make(loop: 0, instance: .init()))
        bench.bench.shard.registry.enter(socket, room: "r")
        bench.broker.obstacle = obstacle
        let published = bench.broker.published
        let answer = bench.emit(Self.body)
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.contains("Content-Type: application/json"))
        #expect(answer.contains(#"{"published":false,"reasons":[{"code":"not_published","text":"#))
        #expect(answer.contains("\(obstacle)"))
        #expect(bench.broker.published == published)
        #expect(bench.bench.poll(session).packets.contains(#"42["update",1]"#))
        let counters = bench.counters()
        #expect(counters?.publishFailures == 1 && counters?.publishQueueFull == (obstacle == .queueFull ? 1 : 0))
        bench.broker.obstacle = nil
        #expect(bench.emit(Self.body).hasSuffix("\r\n\r\nOK\n"))
    }

    @Test func `after a refused message the next ones say so, until one is taken`() throws {
        let bench = try HTTPBench()
        bench.broker.failure = .refused(command: .publish, message: "NOPERM; permit it with: x")
        #expect(bench.emit(Self.body).hasSuffix("OK\n"))
        #expect(bench.emit(Self.body).contains("NOPERM; permit it with: x"))
        bench.broker.failure = nil
        #expect(bench.emit(Self.body).contains("NOPERM"))
        #expect(bench.emit(Self.body).hasSuffix("OK\n"))
    }

    @Test func `what fails after the answer is counted`() throws {
        let bench = try HTTPBench()
        bench.broker.failure = .closedByServer
        #expect(bench.emit(Self.body).hasSuffix("OK\n"))
        #expect(bench.counters()?.publishFailures == 1)
    }
}
