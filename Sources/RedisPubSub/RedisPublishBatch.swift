import NIOCore

/// Messages that are published in one write, and the replies to them.
///
/// It is meant for publishing by the hundred thousand: no buffer, no promise and no system call for each message.
package final class RedisPublishBatch {
    /// The PUBLISH commands in RESP.
    private(set) var commands = ByteBuffer()
    /// The messages in the batch, and the bytes of their payloads.
    package private(set) var messageCount = 0
    package private(set) var payloadBytes = 0
    /// The messages that Redis has replied to, and those among them that reached nobody.
    package private(set) var replyCount = 0
    package private(set) var unheardCount = 0
    /// The receivers that Redis has counted for all messages together.
    private(set) var receiverCount = 0
    /// The first refusal among the replies, and their number.
    private(set) var refusal: String?
    private var refusedCount = 0

    /// - Parameter capacity: bytes of commands to allocate at once.
    package init(capacity: Int = 1024) {
        commands.reserveCapacity(capacity)
    }

    /// The bytes of all commands so far.
    package var byteCount: Int { commands.readableBytes }

    var isComplete: Bool { replyCount == messageCount }

    /// The messages that Redis has refused or not replied to.
    package var failureCount: Int { messageCount - replyCount + refusedCount }

    /// Adds one message; not after the batch has been given to a broker.
    package func append(_ payload: UnsafeRawBufferPointer, to redisChannel: UnsafeRawBufferPointer) {
        messageCount += 1
        payloadBytes += payload.count
        commands.writeStaticString("*3\r\n$7\r\nPUBLISH\r\n")
        unsafe commands.writeArgument(redisChannel)
        unsafe commands.writeArgument(payload)
    }

    /// Takes one reply; false for a reply that PUBLISH never has.
    func take(_ reply: RedisReply) -> Bool {
        switch reply {
        case .integer(let count):
            receiverCount &+= Int(count)
            if count == 0 { unheardCount += 1 }
        case .error(let message):
            refusedCount += 1
            if refusal == nil { refusal = message }
        default: return false
        }
        replyCount += 1
        return true
    }
}
