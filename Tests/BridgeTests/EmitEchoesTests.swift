import Bytes
import Testing

@testable import Bridge

/// What we have published ourselves and Redis brings back.
@Suite struct EmitEchoesTests {
    private static func payload(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func `each payload is known once and in order`() {
        var echoes = EmitEchoes()
        for text in ["a", "b", "b"] { echoes.expect(Self.payload(text)) }
        let taken = ["b", "a", "a", "b", "b", "b"].map { text in
            Self.payload(text).withUnsafeBytes { echoes.take($0) }
        }
        #expect(taken == [false, true, false, true, true, false])
    }

    @Test func `what never came back is forgotten in time`() {
        var echoes = EmitEchoes()
        echoes.expect(Self.payload("lost"))
        let large = [UInt8](repeating: 1, count: 200 << 10)
        for _ in 0..<4 { echoes.expect(large) }
        #expect(large.withUnsafeBytes { echoes.take($0) })
    }

    @Test func `a payload larger than all that is kept is not`() {
        var echoes = EmitEchoes()
        let huge = [UInt8](repeating: 1, count: 1 << 20)
        echoes.expect(huge)
        #expect(!huge.withUnsafeBytes { echoes.take($0) })
        echoes.expect([1])
        #expect([UInt8(1)].withUnsafeBytes { echoes.take($0) })
    }

    @Test func `after one that was not published all are forgotten`() {
        var echoes = EmitEchoes()
        for text in ["lost", "next"] { echoes.expect(Self.payload(text)) }
        echoes.removeAll()
        #expect(echoes.isEmpty)
        echoes.expect(Self.payload("later"))
        #expect(Self.payload("later").withUnsafeBytes { echoes.take($0) })
    }

    /// What the router counts when Redis brings this payload.
    private static func counts(_ harness: HTTPHarness, _ payload: [UInt8]) -> [String: Int] {
        func numbers() -> [String: Int] {
            Dictionary(harness.counters()?.nonZero.map { ($0.key, $0.value) } ?? [], uniquingKeysWith: +)
        }
        let before = numbers()
        payload.withUnsafeBytes {
            harness.broker.delegate?.received($0, on: UnsafeRawBufferPointer(start: nil, count: 0))
        }
        harness.broker.delegate?.receivedBatch()
        return numbers().map { ($0.key, $0.value - (before[$0.key] ?? 0)) }.reduce(into: [:]) {
            $0[$1.0] = $1.1 == 0 ? nil : $1.1
        }
    }

    @Test(arguments: [
        #"{"secret":"123","event":"update","room":"r","data":{"n":1}}"#,
        #"{"secret":"123","event":"update","room":["r"],"data":[1]}"#,
        #"{"secret":"123","event":"é","namespace":"chat"}"#,
    ])
    func `an echo counts as when it is decoded`(body: String) throws {
        let harness = try HTTPHarness()
        let head =
            "POST /emit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        harness.send(head + body)
        let command = harness.broker.published
        let start = try #require(command.firstRange(of: "{")?.lowerBound)
        let payload = Array(command[start...].utf8.dropLast(2))
        let echo = Self.counts(harness, payload)
        // Nobody waits for it a second time.
        #expect(echo == Self.counts(harness, payload))
        #expect(echo["messages_received"] == 1 && echo["messages_ignored"] == 1)
    }
}
