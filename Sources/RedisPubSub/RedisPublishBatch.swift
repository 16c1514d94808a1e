import NIOCore

/// Messages that are published in one write, and the replies to them.
///
/// It is meant for publishing by the hundred thousand: no buffer, no promise and no system call for each message.
package final class RedisPublishBatch {
    // Exclusivity is unchecked for these three: they are accessed for each message, by methods that call nothing outside.
    /// The PUBLISH commands in RESP.
    @exclusivity(unchecked) package private(set) var commands = ByteBuffer()
    /// The messages in the batch, and the bytes of their payloads.
    @exclusivity(unchecked) package private(set) var messageCount = 0
    @exclusivity(unchecked) package private(set) var payloadBytes = 0
    /// The messages that Redis has replied to, and those among them that reached nobody.
    package private(set) var replyCount = 0
    package private(set) var unheardCount = 0
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
        let headers = Self.command.utf8CodeUnitCount + 2 * (Self.maximumDigits + 3) + 4
        let size = headers + redisChannel.count + payload.count
        commands.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { space in
            var position = Self.copy(Self.command, to: space, at: 0)
            position = Self.writeArgument(redisChannel, to: space, at: position)
            return Self.writeArgument(payload, to: space, at: position)
        }
    }

    private static let command: StaticString = "*3\r\n$7\r\nPUBLISH\r\n"
    /// The digits of a count of bytes.
    private static let maximumDigits = 20

    private static func copy(_ text: StaticString, to space: UnsafeMutableRawBufferPointer, at position: Int) -> Int {
        text.withUTF8Buffer { write(UnsafeRawBufferPointer($0), to: space, at: position) }
    }

    private static func write(
        _ bytes: UnsafeRawBufferPointer, to space: UnsafeMutableRawBufferPointer, at position: Int
    ) -> Int {
        let end = position + bytes.count
        UnsafeMutableRawBufferPointer(rebasing: space[position..<end]).copyMemory(from: bytes)
        return end
    }

    /// `$5\r\nbytes\r\n`
    private static func writeArgument(
        _ argument: UnsafeRawBufferPointer, to space: UnsafeMutableRawBufferPointer, at start: Int
    ) -> Int {
        var position = start + 1
        space[start] = UInt8(ascii: "$")
        var divisor = 1
        while argument.count / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            space[position] = UInt8(ascii: "0") + UInt8(argument.count / divisor % 10)
            position += 1
            divisor /= 10
        }
        position = copy("\r\n", to: space, at: position)
        position = write(argument, to: space, at: position)
        return copy("\r\n", to: space, at: position)
    }

    // MARK: Replies

    private func note(receivers: Int64) {
        replyCount += 1
        if receivers == 0 { unheardCount += 1 }
    }

    /// Takes one reply; false for a reply that PUBLISH never has.
    func take(_ reply: RedisReply) -> Bool {
        switch reply {
        case .integer(let count): note(receivers: count)
        case .error(let message):
            replyCount += 1
            refusedCount += 1
            if refusal == nil { refusal = message }
        default: return false
        }
        return true
    }

    /// Takes the replies `:1\r\n` at the beginning of bytes from the server, of this batch only.
    ///
    /// - Returns: the number of bytes taken. An incomplete reply, or any other one, is left.
    func takeReplies(from bytes: UnsafeRawBufferPointer) -> Int {
        var taken = 0
        while !isComplete, taken < bytes.count, bytes[taken] == UInt8(ascii: ":") {
            var index = taken + 1
            var number: Int64 = 0
            // Nine digits are enough for a count of subscribers.
            while index < bytes.count, index - taken < 10, case let digit = bytes[index] &- 0x30, digit < 10 {
                number = number * 10 + Int64(digit)
                index += 1
            }
            guard index > taken + 1, index + 1 < bytes.count, bytes[index] == 0x0D, bytes[index + 1] == 0x0A else {
                break
            }
            note(receivers: number)
            taken = index + 2
        }
        return taken
    }
}
