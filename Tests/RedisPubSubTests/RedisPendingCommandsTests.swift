import NIOCore
import NIOPosix
import Testing

@testable import RedisPubSub

@Suite struct RedisPendingCommandsTests {
    @Test func `a command of our own fails at the end, though a command behind it has expired`() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (question, get) = (loop.makePromise(of: RedisReply.self), loop.makePromise(of: RedisReply.self))
        var pending = RedisPendingCommands(maximumCount: 8, maximumBytes: 1024)
        pending.appendInternal(.query(.info, question))
        let isTaken = pending.append(.query(.get, get), byteCount: 1, deadline: .uptimeNanoseconds(1))
        #expect(isTaken)
        pending.popExpired(now: .uptimeNanoseconds(2))?.fail(.commandTimedOut)
        let told = pending.removeAll()
        for command in told { command.fail(.closedByServer) }
        #expect(told.count == 1)
        guard told.count == 1 else { return question.fail(RedisError.shutDown) }
        await #expect(throws: RedisError.closedByServer) { try await question.futureResult.get() }
        await #expect(throws: RedisError.self) { try await get.futureResult.get() }
    }

    static let replies: [(RedisReply, RedisError?)] = [
        (.status, .malformedReply(reason: "a reply that nothing asked for")),
        (.integer(1), .malformedReply(reason: "a reply that nothing asked for")),
        (.error("ERR max number of clients reached"), .broken(reason: "ERR max number of clients reached")),
    ]

    @Test(arguments: replies) func `a reply that no command waits for ends the connection`(
        _ reply: RedisReply, _ cause: RedisError?
    ) {
        var pending = RedisPendingCommands(maximumCount: 8, maximumBytes: 1024)
        guard case .close(let found) = pending.received(reply) else {
            Issue.record("it is no reason to close")
            return
        }
        #expect(found == cause)
    }

    static let pings: [(RedisReply, RedisError?)] = [
        (.status, nil), (.bulk(ByteBuffer(string: "PONG")), nil), (.error("LOADING x"), nil),
        (.error("NOAUTH x"), .refused(command: .ping, message: "NOAUTH x")),
        (.integer(1), .malformedReply(reason: "a reply that does not fit its command")),
    ]

    @Test(arguments: pings) func `a PING accepts every reply of a living server`(
        _ reply: RedisReply, _ cause: RedisError?
    ) {
        #expect(RedisPendingCommands.Command.ping.complete(with: reply, RedisRights()) == cause)
    }
}
