import NIOCore
import Testing

@testable import Bridge

/// The short way of a plain `POST /emit` past NIO's parser.
@Suite struct PlainEmitTests {
    private static func head(_ text: String) -> PlainEmitHead? {
        Array(text.utf8).withUnsafeBytes { PlainEmitHead($0) }
    }

    private static func request(_ body: String, line: String = "POST /emit HTTP/1.1", _ headers: String...) -> String {
        let lines = [line, "Host: h", "Content-Type: application/json", "Content-Length: \(body.utf8.count)"] + headers
        return lines.joined(separator: "\r\n") + "\r\n\r\n" + body
    }

    private static let message = #"{"secret":"123","event":"update","room":"r","data":{"n":1}}"#

    @Test func `a plain head says how long head and body are and whether it is JSON`() throws {
        let text = "POST /emit HTTP/1.1\r\nhost:h\r\nCONTENT-LENGTH: 012\r\nContent-Type: Application/JSON; x=1\r\n"
        let plain = try #require(Self.head(text + "Connection: Keep-Alive\r\nEmpty:\r\n\r\nbody"))
        #expect(plain.byteCount == text.utf8.count + 34 && plain.bodyByteCount == 12 && plain.isJSON)
        let other = try #require(Self.head("POST /emit HTTP/1.1\r\nContent-Length: 0\r\n\r\n"))
        #expect(other.bodyByteCount == 0 && !other.isJSON)
    }

    @Test(arguments: [
        "GET /emit HTTP/1.1\r\nContent-Length: 1\r\n\r\n", "POST /emit?x HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
        "POST /emit HTTP/1.0\r\nContent-Length: 1\r\n\r\n", "\r\nPOST /emit HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
        "POST /emit HTTP/1.1\r\n\r\n", "POST /emit HTTP/1.1\r\nContent-Length: 1\r\n\r",
        "POST /emit HTTP/1.1\r\nContent-Length: 1\r\n",
    ])
    func `another request line, no length or a cut head is not plain`(text: String) {
        #expect(Self.head(text) == nil)
    }

    @Test(arguments: [
        "Content-Length: 1", "content-length: 2", "Transfer-Encoding: chunked", "TRANSFER-ENCODING: gzip",
        "Expect: 100-continue", "Upgrade: websocket", "Connection: close", "Connection: upgrade", "Connection: ",
        "Connection: keep-alive, close", "Proxy-Connection: close", "X: \u{7F}", "X: é", "X: a\tb", "X : a", "X",
        " folded", ": a", "X\u{0}: a", "X: a\rb", "X: a\nY: b", "Content-Length: 1x", "Content-Length: -1",
        "Content-Length:", "Content-Length: 10000000000", "X: " + String(repeating: "x", count: 9000),
    ])
    func `a header that asks for something or is spelled unusually is not plain`(line: String) {
        #expect(Self.head("POST /emit HTTP/1.1\r\nContent-Length: 1\r\n\(line)\r\n\r\n") == nil)
    }

    /// Requests in all their forms, behind each other on one connection.
    private static let conversations: [String] = [
        request(message), request(message) + request(message) + request(message),
        request(message) + "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n" + request(message),
        request(message, "Connection: close") + request(message), request(message, "Expect: 100-continue"),
        request("{}"), request("nonsense"), request(""), request(message, line: "POST /emit?secret=123 HTTP/1.1"),
        request(message, line: "PUT /emit HTTP/1.1") + request(message), request(message, line: "POST /emit HTTP/1.0"),
        request(#"{"secret":"123","event":"update","room":{},"data":1}"#) + request(message),
        request(#"{"secret":"123","report":true,"event":"update","room":"r","data":1}"#) + request(message),
        request(message + String(repeating: " ", count: 1000)) + request(message),
        "POST /emit HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}" + request(message),
        "POST /emit HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            + request(message),
        request(message) + "\r\n" + request(message), request(message) + "rubbish\r\n\r\n",
    ]

    private struct Outcome: Equatable {
        let answers: String
        let published: String
        let counters: [String]
        let isOpen: Bool
        let shardCounters: BridgeCounters
    }

    private static func outcome(
        _ bytes: [UInt8], inReadsOf lengths: [Int], _ change: (inout BridgeConfiguration) -> Void = { _ in }
    ) throws -> Outcome {
        let bench = try HTTPBench(change)
        try bench.send(bytes, inReadsOf: lengths)
        return Outcome(
            answers: try bench.received(), published: bench.broker.published,
            counters: bench.counters()?.nonZero.map { "\($0)" } ?? [],
            isOpen: bench.isOpen, shardCounters: bench.bench.shard.counters)
    }

    @Test(arguments: conversations)
    func `requests are answered alike however they are cut into reads`(text: String) throws {
        let bytes = Array(text.utf8)
        // Byte by byte no head is whole, so that NIO's parser reads all.
        let expected = try Self.outcome(bytes, inReadsOf: [1])
        #expect(!expected.answers.isEmpty)
        let head = (text.firstRange(of: "\r\n\r\n")?.upperBound).map { text[..<$0].utf8.count } ?? 1
        for lengths in [[], [head], [head, 7], [head - 1], [head + 1, 100], [100], [512], [bytes.count - 1]] {
            #expect(try Self.outcome(bytes, inReadsOf: lengths.filter { $0 > 0 }) == expected, "\(lengths)")
        }
    }

    @Test func `without a secret, and where all paths are Engine.IO's, a plain emit gets the answer of other requests`()
        throws
    {
        let bytes = Array((Self.request(Self.message) + Self.request(Self.message)).utf8)
        for change: (inout BridgeConfiguration) -> Void in [{ $0.emitSecret = nil }, { $0.path = "/" }] {
            let whole = try Self.outcome(bytes, inReadsOf: [], change)
            #expect(whole == (try Self.outcome(bytes, inReadsOf: [1], change)))
            #expect(whole.published.isEmpty && !whole.answers.contains("200 OK"))
        }
    }

    @Test func `damaged requests are answered as by NIO's parser`() throws {
        var random = SplitMix(state: 7)
        let alphabet = Array("\r\n\t :;,aZ0{}\"\u{0}\u{7F}\u{FF}-".utf8)
        for round in 0..<500 {
            var bytes = Array(Self.conversations[round % Self.conversations.count].utf8)
            for _ in 0...random.next() % 2 {
                let place = Int(random.next() % UInt64(bytes.count))
                let byte = alphabet[Int(random.next() % UInt64(alphabet.count))]
                switch random.next() % 3 {
                case 0: bytes[place] = byte
                case 1: bytes.insert(byte, at: place)
                default: bytes.remove(at: place)
                }
            }
            let expected = try Self.outcome(bytes, inReadsOf: [1])
            let whole = try Self.outcome(bytes, inReadsOf: [])
            #expect(whole == expected, "\(String(decoding: bytes, as: UTF8.self).debugDescription)")
        }
    }
}
