import NIOCore
import NIOPosix
import Testing

@testable import RedisPubSub

@Suite struct RedisPendingCommandsTests {
    @Test func `a question of our own is told of the end, though a command behind it has expired`() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (question, publish) = (loop.makePromise(of: RedisReply.self), loop.makePromise(of: Int.self))
        var pending = RedisPendingCommands(maximumCount: 8, maximumBytes: 1024)
        pending.appendInternal(.query(.info, question))
        let isTaken = pending.append(.publish(publish), byteCount: 1, deadline: .uptimeNanoseconds(1))
        #expect(isTaken)
        pending.popExpired(now: .uptimeNanoseconds(2))?.fail(.commandTimedOut)
        let told = pending.removeAll()
        for command in told { command.fail(.closedByServer) }
        #expect(told.count == 1)
        guard told.count == 1 else { return question.fail(RedisError.shutDown) }
        await #expect(throws: RedisError.closedByServer) { try await question.futureResult.get() }
        await #expect(throws: RedisError.self) { try await publish.futureResult.get() }
    }
}
