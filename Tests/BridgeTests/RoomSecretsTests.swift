import Bytes
import NIOCore
import RedisPubSub
import Testing

@testable import Bridge

@Suite struct RoomSecretsTests {
    private typealias Value = Result<ByteBuffer?, any Error>
    private static let wrongType: Value = .failure(
        RedisError.refused(command: .get, message: "WRONGTYPE Operation against a key holding the wrong kind of value"))
    private static let away: Value = .failure(RedisError.notConnected)
    private static func text(_ text: String) -> Value { .success(ByteBuffer(string: text)) }

    private static func secrets(_ first: Value, _ second: Value) -> RoomSecrets {
        var secrets = RoomSecrets()
        secrets.take(first, of: Array("one".utf8), limit: 5)
        secrets.take(second, of: Array("two".utf8), limit: 5)
        return secrets
    }

    private static func usable(_ secrets: RoomSecrets) -> [String]? {
        (try? secrets.usable())?.map { String(buffer: $0) }
    }

    @Test func `a key that holds no text or too much hides no other`() {
        for bad in [Self.wrongType, Self.text("longer"), .success(nil), Self.text("")] {
            #expect(Self.usable(Self.secrets(bad, Self.text("right"))) == ["right"])
            #expect(Self.usable(Self.secrets(Self.text("right"), bad)) == ["right"])
            #expect(Self.usable(Self.secrets(bad, bad)) == [])
        }
    }

    @Test func `a key that can't be read counts only where no other can`() {
        #expect(Self.usable(Self.secrets(Self.away, Self.text("right"))) == ["right"])
        #expect(Self.usable(Self.secrets(Self.away, .success(nil))) == nil)
        #expect(Self.usable(Self.secrets(Self.away, Self.wrongType)) == nil)
    }

    @Test func `each problem names its key`() {
        let secrets = Self.secrets(Self.wrongType, Self.text("pw\n"))
        #expect(
            secrets.problems.map(\.code) == [.wrongType, .lineFeed] && secrets.problems.map(\.key) == ["one", "two"])
        #expect(secrets.problems.allSatisfy { $0.text.contains("the key \($0.key)") || $0.text.contains("in the key") })
        #expect(!secrets.problems.contains { $0.text.contains("pw") })
        let others = Self.secrets(Self.text("longer"), Self.away)
        #expect(others.problems.map(\.code) == [.tooLong, .unreadable])
    }

    @Test func `a join is decided by the key that holds a text`() throws {
        let harness = try HTTPHarness()
        let keys = RoomSecretKey.keys(of: "dir")
        harness.broker.values = [
            keys[0]: .failure(.refused(command: .get, message: "WRONGTYPE x")),
            keys[1]: .success(ByteBuffer(string: "pw")),
        ]
        let session = harness.harness.makeSession()
        _ = harness.harness.post("40", to: session)
        _ = harness.harness.poll(session)
        _ = harness.harness.post(#"421["join",{"room":"dir::a","secret":"pw"}]"#, to: session)
        #expect(harness.harness.poll(session).packets == [#"431[{"ok":true}]"#])
        harness.broker.values[keys[1]] = .success(ByteBuffer(string: "pw\n"))
        _ = harness.harness.post(#"422["join",{"room":"dir::b","secret":"pw"}]"#, to: session)
        #expect(harness.harness.poll(session).text?.contains("doesn't open this room-space") == true)
        #expect((harness.counters()?.secretsUnusable ?? 0) >= 2)
    }
}
