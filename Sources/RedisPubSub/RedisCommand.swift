import NIOCore

/// Commands in RESP: `*<count>` and then each argument as `$<length>` and its bytes.
///
/// They are written straight into the outgoing buffer; hiredis's formatter would allocate a further copy.
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
        // Redis knows users since release 6; every release accepts the password alone.
        if let user {
            write([name, user, password ?? []], to: &buffer)
        } else {
            write([name, password ?? []], to: &buffer)
        }
    }

    static let ping = words(["PING"])

    static func words(_ words: [String], to buffer: inout ByteBuffer) {
        write(words.map(\.utf8), to: &buffer)
    }

    static func words(_ words: [String]) -> ByteBuffer {
        var buffer = ByteBuffer()
        self.words(words, to: &buffer)
        return buffer
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

    /// The value of a key, which is set first if it doesn't exist. Only Redis 7.0 and later have one command for this, so it is
    /// a script.
    static func get(_ key: [UInt8], orSet value: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        let script = "redis.call('SETNX', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])"
        write([Array("EVAL".utf8), Array(script.utf8), Array("1".utf8), key, value], to: &buffer)
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
