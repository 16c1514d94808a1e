import NIOCore

/// Commands in RESP: `*<count>` and then each argument as `$<length>` and its bytes.
///
/// They are written straight into the outgoing buffer; hiredis's formatter would allocate a further copy.
enum RedisCommand {
    static let ping = words(["PING"])

    static func words(_ words: [String]) -> ByteBuffer {
        arguments(words.map { Array($0.utf8) })
    }

    static func arguments(_ arguments: [[UInt8]]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeCommand(arguments)
        return buffer
    }

    static func get(_ key: [UInt8]) -> ByteBuffer { arguments([Array("GET".utf8), key]) }

    /// The first bytes of a value.
    static func get(_ key: [UInt8], upTo limit: Int) -> ByteBuffer {
        arguments([Array("GETRANGE".utf8), key, Array("0".utf8), Array(String(limit - 1).utf8)])
    }

    /// The value of a key, which is set first if it doesn't exist. Only Redis 7.0 and later have one command for this, so it is
    /// a script.
    static func get(_ key: [UInt8], orSet value: [UInt8]) -> ByteBuffer {
        evaluate(
            "redis.call('SETNX', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])", keys: [key], arguments: [value])
    }

    static func evaluate(_ script: StaticString, keys: [[UInt8]], arguments: [[UInt8]]) -> ByteBuffer {
        let text = script.withUTF8Buffer { unsafe Array($0) }
        return self.arguments(
            [Array("EVAL".utf8), text, Array(String(keys.count).utf8)] + keys + arguments)
    }
}

extension ByteBuffer {
    mutating func writeCommand(_ arguments: some Collection<some Collection<UInt8>>) {
        writeStaticString("*")
        writeString(String(arguments.count))
        writeStaticString("\r\n")
        for argument in arguments { unsafe Array(argument).withUnsafeBytes { unsafe writeArgument($0) } }
    }

    /// Writes all parts at once: a write of few bytes costs as much as one of hundreds.
    mutating func writeArgument(_ bytes: UnsafeRawBufferPointer) {
        writeWithOutputRawSpan(minimumWritableBytes: bytes.count + 32) { output in
            output.append(UInt8(ascii: "$"))
            for digit in String(bytes.count).utf8 { output.append(digit) }
            output.append(UInt8(ascii: "\r"))
            output.append(UInt8(ascii: "\n"))
            unsafe output.withUnsafeMutableBytes { space, count in
                unsafe UnsafeMutableRawBufferPointer(rebasing: space[count...]).copyMemory(from: bytes)
                count += bytes.count
            }
            output.append(UInt8(ascii: "\r"))
            output.append(UInt8(ascii: "\n"))
        }
    }
}
