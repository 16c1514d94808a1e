import NIOCore
import NIOEmbedded
import Testing

@testable import RedisPubSub

/// Many messages in one write, and the replies in pieces of any size.
@Suite struct RedisPublishBatchTests {
    private typealias Subject = RedisConnectionTests.Subject

    static func batch(_ payloads: String..., channel: String = "c") -> RedisPublishBatch {
        let batch = RedisPublishBatch()
        for payload in payloads {
            Array(payload.utf8).withUnsafeBytes { payload in
                Array(channel.utf8).withUnsafeBytes { batch.append(payload, to: $0) }
            }
        }
        return batch
    }

    private func send(_ batch: RedisPublishBatch, on subject: Subject) -> EventLoopFuture<Void> {
        let promise = subject.loop.makePromise(of: Void.self)
        subject.connection.send(.publish(batch, promise), batch.commands)
        return promise.futureResult
    }

    private func ready(_ adjust: (inout RedisConfiguration) -> Void = { _ in }) throws -> Subject {
        let subject = try Subject(adjust)
        try subject.reply("+PONG\r\n")
        _ = try subject.sent()
        return subject
    }

    @Test func `each message is a PUBLISH as RESP spells it`() {
        let long = String(repeating: "x", count: 1234)
        let batch = Self.batch("", "ab", long, channel: "flask-socketio")
        let start = "*3\r\n$7\r\nPUBLISH\r\n$14\r\nflask-socketio\r\n"
        #expect(
            String(buffer: batch.commands) == "\(start)$0\r\n\r\n\(start)$2\r\nab\r\n\(start)$1234\r\n\(long)\r\n")
        #expect(batch.messageCount == 3 && batch.payloadBytes == 1236)
        #expect(batch.byteCount == batch.commands.readableBytes)
    }

    @Test func `replies are counted, whole or cut anywhere`() throws {
        let replies = Array(":2\r\n:0\r\n:1234567890\r\n:12345678901\r\n:0\r\n".utf8)
        for cut in 0...replies.count {
            let subject = try ready()
            let batch = Self.batch("1", "2", "3", "4", "5")
            let future = send(batch, on: subject)
            #expect(try subject.sent().utf8.count == batch.byteCount)
            try subject.reply(String(decoding: replies[..<cut], as: UTF8.self))
            try subject.reply(String(decoding: replies[cut...], as: UTF8.self))
            try future.wait()
            #expect(batch.replyCount == 5 && batch.unheardCount == 2)
            #expect(subject.cause == nil && subject.counters.commands == 5)
        }
    }

    @Test func `replies go to their own batch and to commands in between`() throws {
        let subject = try ready()
        let (first, second) = (Self.batch("1", "2"), Self.batch("3"))
        let futures = [send(first, on: subject), send(second, on: subject)]
        let get = subject.get("k")
        let third = Self.batch("4")
        let last = send(third, on: subject)
        try subject.reply(":1\r\n:0\r\n:0\r\n$1\r\nv\r\n:7\r\n")
        for future in futures + [last] { try future.wait() }
        #expect(try get.wait() == ByteBuffer(string: "v"))
        #expect([first, second, third].map(\.unheardCount) == [1, 1, 0])
    }

    @Test func `a refusal fails the batch when all replies are there`() throws {
        let subject = try ready()
        let batch = Self.batch("1", "2", "3")
        let future = send(batch, on: subject)
        try subject.reply(":1\r\n-NOPERM no such channel for you\r\n")
        #expect(batch.replyCount == 2)
        try subject.reply(":1\r\n")
        #expect(throws: RedisError.refused(command: .publish, message: "NOPERM no such channel for you")) {
            try future.wait()
        }
        #expect(batch.failureCount == 1)
        #expect(subject.cause == nil)
    }

    @Test func `a reply that PUBLISH never has ends the connection`() throws {
        let subject = try ready()
        let future = send(Self.batch("1", "2"), on: subject)
        try subject.reply(":1\r\n+OK\r\n")
        #expect(throws: RedisError.malformedReply(reason: "a reply that does not fit its command")) {
            try future.wait()
        }
        #expect(subject.cause != nil)
    }

    @Test func `an expired batch fails and its late replies go to nobody else`() throws {
        let subject = try ready { $0.commandTimeout = .seconds(2) }
        let batch = Self.batch("1", "2")
        let future = send(batch, on: subject)
        try subject.reply(":1\r\n")
        subject.loop.advanceTime(by: .seconds(2))
        #expect(throws: RedisError.commandTimedOut) { try future.wait() }
        let next = Self.batch("3")
        let other = send(next, on: subject)
        try subject.reply(":0\r\n:5\r\n")
        try other.wait()
        #expect(next.replyCount == 1 && next.unheardCount == 0)
        #expect(subject.counters.expiredCommands == 2 && subject.cause == nil)
    }

    @Test func `the bound on waiting commands counts messages`() throws {
        let subject = try ready { $0.maximumPendingCommands = 3 }
        let taken = send(Self.batch("1", "2"), on: subject)
        let refused = send(Self.batch("3", "4"), on: subject)
        #expect(throws: RedisError.queueFull) { try refused.wait() }
        try subject.reply(":1\r\n:1\r\n")
        try taken.wait()
        let again = send(Self.batch("5", "6", "7"), on: subject)
        try subject.reply(":1\r\n:1\r\n:1\r\n")
        try again.wait()
    }

    @Test func `a lost connection fails the batch and keeps the count of replies`() throws {
        let subject = try ready()
        let batch = Self.batch("1", "2")
        let future = send(batch, on: subject)
        try subject.reply(":1\r\n")
        subject.connection.end(.closedByServer)
        #expect(throws: RedisError.closedByServer) { try future.wait() }
        #expect(batch.replyCount == 1 && batch.failureCount == 1)
    }
}
