import NIOCore

/// Commands as RESP spells them: `*<count>` and then each argument as `$<length>` and its bytes.
///
/// Written straight into the outgoing buffer; hiredis's formatter would allocate a copy to be copied again.
enum RedisCommand {
    static func write<Arguments: Collection>(_ arguments: Arguments, to buffer: inout ByteBuffer)
    where Arguments.Element: Collection<UInt8> {
        writeHeader("*", arguments.count, to: &buffer)
        for argument in arguments {
            writeHeader("$", argument.count, to: &buffer)
            buffer.writeBytes(argument)
            buffer.writeStaticString("\r\n")
        }
    }

    private static func writeHeader(_ kind: StaticString, _ count: Int, to buffer: inout ByteBuffer) {
        buffer.writeStaticString(kind)
        buffer.writeString(String(count))
        buffer.writeStaticString("\r\n")
    }

    static func auth(user: [UInt8]?, password: [UInt8]?, to buffer: inout ByteBuffer) {
        let name = Array("AUTH".utf8)
        // A user of its own is a matter of Redis 6 and later; the password alone is understood by all.
        if let user {
            write([name, user, password ?? []], to: &buffer)
        } else {
            write([name, password ?? []], to: &buffer)
        }
    }

    static let ping = ByteBuffer(string: "*1\r\n$4\r\nPING\r\n")

    static func words(_ words: [String], to buffer: inout ByteBuffer) {
        write(words.map(\.utf8), to: &buffer)
    }

    static func get(_ key: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(32 + key.count)
        write([Array("GET".utf8), key], to: &buffer)
        return buffer
    }

    /// The first bytes of a value.
    static func get(_ key: [UInt8], upTo limit: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(64 + key.count)
        write([Array("GETRANGE".utf8), key, Array("0".utf8), Array(String(limit - 1).utf8)], to: &buffer)
        return buffer
    }

    /// The value of a key, which is set first when there is none. A script: in one command, Redis can do it from 7.0 on only.
    static func get(_ key: [UInt8], orSet value: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        let script = "redis.call('SETNX', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])"
        write([Array("EVAL".utf8), Array(script.utf8), Array("1".utf8), key, value], to: &buffer)
        return buffer
    }

    static func channels() -> ByteBuffer {
        var buffer = ByteBuffer()
        words(["PUBSUB", "CHANNELS"], to: &buffer)
        return buffer
    }

    static func publish(_ payload: ByteBuffer, to redisChannel: String) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(64 + redisChannel.utf8.count + payload.readableBytes)
        buffer.writeStaticString("*3\r\n$7\r\nPUBLISH\r\n")
        writeHeader("$", redisChannel.utf8.count, to: &buffer)
        buffer.writeString(redisChannel)
        buffer.writeStaticString("\r\n")
        writeHeader("$", payload.readableBytes, to: &buffer)
        buffer.writeImmutableBuffer(payload)
        buffer.writeStaticString("\r\n")
        return buffer
    }
}
