import NIOCore
import Testing

@testable import RedisPubSub

@Suite struct RedisReplyReaderTests {
    /// Collects what a reader hands over, copying it.
    final class Collector: PubSubDelegate {
        var messages: [String] = []

        func received(_ payload: Span<UInt8>, on redisChannel: Span<UInt8>) {
            messages.append(text(of: redisChannel) + "=" + text(of: payload))
        }

        func receivedBatch() {}
        func subscriptionChanged(_ state: SubscriptionState) {}
    }

    struct Outcome: Equatable {
        var replies: [RedisReply] = []
        var messages: [String] = []
        var error: RedisError?
    }

    /// Feeds the bytes in pieces of the given size.
    static func read(_ bytes: [UInt8], pieces size: Int, maximumReplyBytes: Int = 1 << 20) -> Outcome {
        let reader = RedisReplyReader(maximumReplyBytes: maximumReplyBytes)
        let collector = Collector()
        reader.delegate = collector
        var outcome = Outcome()
        do throws(RedisError) {
            for start in stride(from: 0, to: bytes.count, by: size) {
                let piece = Array(bytes[start..<min(start + size, bytes.count)])
                var failure: RedisError?
                piece.withUnsafeBytes { piece in
                    do throws(RedisError) {
                        try reader.read(piece) { reply throws(RedisError) in
                            outcome.replies.append(reply)
                            return true
                        }
                    } catch {
                        failure = error
                    }
                }
                if let failure { throw failure }
            }
        } catch {
            outcome.error = error
        }
        outcome.messages = collector.messages
        return outcome
    }

    static func message(_ payload: String, on channel: String = "c") -> String {
        "*3\r\n$7\r\nmessage\r\n$\(channel.utf8.count)\r\n\(channel)\r\n$\(payload.utf8.count)\r\n\(payload)\r\n"
    }

    static let stream =
        "+OK\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n" + message("one") + message("")
        + "*2\r\n$4\r\npong\r\n$0\r\n\r\n"
        + message(String(repeating: "x", count: 3_000), on: "other") + ":42\r\n$5\r\nvalue\r\n$-1\r\n*-1\r\n*0\r\n"
        + "-ERR no\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n:7\r\n*2\r\n*1\r\n$7\r\nmessage\r\n:1\r\n" + message("last")
    static let expected = Outcome(
        replies: [
            .status, .subscribed, .message(byteCount: 3), .message(byteCount: 0), .pong, .message(byteCount: 3_000),
            .integer(42), .bulk(ByteBuffer(string: "value")), .null, .null, .array, .error("ERR no"), .array, .array,
            .message(byteCount: 4),
        ],
        messages: ["c=one", "c=", "other=" + String(repeating: "x", count: 3_000), "c=last"])

    @Test(arguments: [1, 2, 3, 7, 64, 1_000, 1 << 20])
    func `replies are the same however their bytes are cut`(_ size: Int) {
        #expect(Self.read(Array(Self.stream.utf8), pieces: size) == Self.expected)
    }

    @Test func `messages cut at any byte come whole, of channels and patterns, among other replies`() {
        let one = "*4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\ncd\r\n$5\r\nfirst\r\n" + Self.message("a\r\nb")
        let stream = Array((one + "*2\r\n$4\r\npong\r\n$0\r\n\r\n" + Self.message("last")).utf8)
        for size in 1...stream.count {
            let outcome = Self.read(stream, pieces: size)
            #expect(outcome.messages == ["cd=first", "c=a\r\nb", "c=last"])
            #expect(
                outcome.replies == [.message(byteCount: 5), .message(byteCount: 4), .pong, .message(byteCount: 4)])
        }
    }

    @Test func `a channel with a very long name is read`() {
        let name = String(repeating: "n", count: 5_000)
        let outcome = Self.read(Array(Self.message("x", on: name).utf8), pieces: 1_000)
        #expect(outcome.messages == [name + "=x"])
    }

    @Test(arguments: ["$01", "$1x", "$-1", "$+1", "$ 1"])
    func `an odd spelling of a length is read as by the parser alone`(_ header: String) {
        let text = Self.message("x").replacing("$1\r\nx", with: header + "\r\nx")
        #expect(Self.read(Array(text.utf8), pieces: 1_000) == Self.read(Array(text.utf8), pieces: 1))
    }

    @Test func `a stream cut short at any byte brings a part of its replies and no error`() {
        let bytes = Array(Self.stream.utf8.prefix(200))
        for end in 0..<bytes.count {
            let outcome = Self.read(Array(bytes[..<end]), pieces: 1_000)
            #expect(outcome.error == nil)
            #expect(Self.expected.replies.starts(with: outcome.replies))
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n", "\0\0\0\0", ":x\r\n", "*3\r\n?", "$-2\r\n", "*99999999999999999999\r\n", "*-2\r\n",
        String(repeating: "*1\r\n", count: 20),
    ])
    func `what is no RESP is refused`(_ text: String) {
        guard case .malformedReply = Self.read(Array(text.utf8), pieces: 1_000).error else {
            Issue.record("accepted")
            return
        }
    }

    @Test func `a reply of the largest size passes and one byte more is refused`() {
        let bytes = Array(Self.message(String(repeating: "x", count: 100_000)).utf8)
        for size in [bytes.count, 1_000] {
            let fits = Self.read(bytes, pieces: size, maximumReplyBytes: bytes.count)
            #expect(fits.replies == [.message(byteCount: 100_000)])
        }
        let over = Self.read(bytes, pieces: 1_000, maximumReplyBytes: 99_999)
        #expect(over == Outcome(error: .replyTooLarge(limit: 99_999)))
        // A payload that arrives in one piece never counts as unfinished, and is refused all the same.
        #expect(Self.read(bytes, pieces: bytes.count, maximumReplyBytes: 99_999) == over)
    }

    @Test func `the announced length of a reply takes no memory and its bytes are bounded`() {
        let endless = Array("$9223372036854775806\r\n".utf8) + [UInt8](repeating: 0x78, count: 50_000)
        #expect(Self.read(endless, pieces: 1_000, maximumReplyBytes: 40_000).error == .replyTooLarge(limit: 40_000))
        #expect(Self.read(Array("*2147483647\r\n".utf8), pieces: 1_000) == Outcome())
    }

    @Test func `a line without an end is refused early`() {
        let line = Array("+".utf8) + [UInt8](repeating: 0x78, count: 200_000)
        #expect(Self.read(line, pieces: 10_000).error == .malformedReply(reason: "a line without an end"))
    }

    @Test func `random bytes never trap`() {
        let fragments = Self.stream.split(separator: "\r\n").map { Array($0.utf8) }
        for _ in 0..<5_000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1..<20) {
                bytes += fragments[Int.random(in: 0..<fragments.count)] + (Int.random(in: 0..<9) == 0 ? [] : [13, 10])
                if Int.random(in: 0..<9) == 0 { bytes.append(UInt8.random(in: 0...255)) }
            }
            _ = Self.read(bytes, pieces: Int.random(in: 1...bytes.count), maximumReplyBytes: 2_000)
        }
    }

    @Test func `an error text is one printable line without what it quotes`() {
        let text = "ERR unknown command `AUTH`, with args beginning with: `s3cret`"
        #expect(RedisErrorText.printable(text.utf8) == "ERR unknown command …")
        #expect(RedisErrorText.printable([0x41, 0x0A, 0x1B, 0xFF, 0x42]) == "A???B")
        #expect(RedisErrorText.printable([UInt8](repeating: 0x41, count: 1_000)).utf8.count == 200)
    }
}
