import Bytes
import Testing

@testable import PubSubMessages

@Suite(.bothWays) struct CanaryMessageTests {
    private static let host: ByteString = "0123456789abcdef0123456789abcdef"

    private static func decode(_ payload: [UInt8], as host: ByteString) throws -> PubSubMessage {
        try payload.withUnsafeBytes { try makeDecoder(hostID: host).decode($0) }
    }

    @Test func `an own canary has its id, and another host's is ignored`() throws {
        let payload = PubSubMessageEncoder.canary(id: .max, hostID: Self.host)
        guard case .canary(.max) = try Self.decode(payload, as: Self.host) else {
            Issue.record("no canary")
            return
        }
        guard case .ignored(.canaryOfAnotherHost) = try Self.decode(payload, as: "other") else {
            Issue.record("another's canary counts")
            return
        }
    }

    @Test(arguments: [
        #"{"method":"ws-emit-canary","host_id":"HOST"}"#, #"{"method":"ws-emit-canary","id":"1","host_id":"HOST"}"#,
        #"{"method":"canary","id":1,"host_id":"HOST"}"#,
    ])
    func `a canary without an id is ignored as an own message`(text: String) throws {
        let payload = Array(text.replacing("HOST", with: "\(Self.host)").utf8)
        guard case .ignored(.ownMessage) = try Self.decode(payload, as: Self.host) else {
            Issue.record("it counts")
            return
        }
    }

    @Test(arguments: [
        (#"{"host_id": "HOST"}"#, true), ("S'host_id'\np15\nS'HOST'\np16\nsu.", true),
        ("Vhost_id\np15\nVHOST\np16\ns.", true), ("\u{8}host_id\u{14}\u{20}HOSTu.", true),
        (#"{"host_id":"short"}"#, false), ("nothing", false), ("", false), ("host_id", false),
    ])
    func `a message too large to be read names its sender`(text: String, isFound: Bool) {
        let digits = "\(Self.host)"
        for padding in [0, 5000] {
            let long = String(repeating: "x", count: padding)
            for whole in [long + text, text + long] {
                let payload = Array(whole.replacing("HOST", with: digits).utf8)
                let found = payload.withUnsafeBytes { HostIDFinder.hostID(in: $0) }
                #expect(found == (isFound ? Self.host : nil), "\(whole.prefix(60))")
            }
        }
    }

    @Test func `a message between servers is recognised by its first bytes`() throws {
        func isBetweenServers(_ payload: [UInt8]) -> Bool { PubSubMessageEncoder.isBetweenServers(payload.span) }
        #expect(isBetweenServers(PubSubMessageEncoder.canary(id: 1, hostID: Self.host)))
        #expect(isBetweenServers(PubSubMessageEncoder.keptRequest(host: Self.host, id: 1)))
        #expect(isBetweenServers(PubSubMessageEncoder.keptStored(host: Self.host, for: "other", id: 1)))
        #expect(!isBetweenServers(Array(#"{"method":"emit"}"#.utf8)) && !isBetweenServers([]))
    }
}
