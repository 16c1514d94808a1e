import Bytes
import Logging
import NIOCore
import NIOHTTP1
import SocketIOProtocol
import Testing

@testable import Bridge

@Suite struct ClientRefusalTests {
    private static func makeLog() -> (ClientRefusalLog, MessageRefusalLogTests.Lines) {
        let lines = MessageRefusalLogTests.Lines()
        let logger = Logger(label: "test") { _ in MessageRefusalLogTests.Recorder(lines: lines) }
        return (ClientRefusalLog(BridgeConfiguration(), logger: logger), lines)
    }

    private static func after(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(seconds) }

    private static func origin(_ text: String) -> ClientRefusal { ClientRefusal(.originRefused, ByteString(text)) }

    // MARK: The log

    @Test func `a cause is told once a minute, with the number since`() {
        let (log, lines) = Self.makeLog()
        for tenth in 0..<1200 {
            _ = log.refused(ClientRefusal(.unsupportedParser, "x"), at: Self.after(Int64(tenth / 10)))
        }
        #expect(lines.all.count == 2)
        #expect(lines.all[0].contains("warning a client writes its packets otherwise"))
        #expect(lines.all[0].contains("unsupported_parser") && !lines.all[0].contains("count"))
        #expect(lines.all[1].contains(#""count": 600"#))
        _ = log.refused(ClientRefusal(.unhandledEvent, "chat"), at: Self.after(119))
        #expect(lines.all.count == 3, "another cause")
    }

    @Test func `who was refused is asked for only when there is a line`() {
        let (log, lines) = Self.makeLog()
        var asked = 0
        for _ in 0..<10 {
            _ = log.refused(
                ClientRefusal(.unknownSession),
                by: {
                    asked += 1
                    return ["user_agent": "Firefox"]
                }, at: Self.after(1))
        }
        #expect(asked == 1 && lines.all.count == 1 && lines.all[0].contains("Firefox"))
    }

    @Test func `an origin is named once a minute`() {
        let (log, lines) = Self.makeLog()
        for second in 0..<60 { _ = log.refused(Self.origin("http://a.example"), at: Self.after(Int64(second))) }
        #expect(lines.all.count == 1)
        _ = log.refused(Self.origin("http://b.example"), at: Self.after(59))
        #expect(lines.all.count == 2, "another origin")
        _ = log.refused(Self.origin("http://a.example"), at: Self.after(60))
        #expect(lines.all.count == 3, "another minute")
    }

    @Test func `a flood of origins fills neither the log nor memory, and hides no other cause`() {
        let (log, lines) = Self.makeLog()
        var unnamed = 0
        for number in 0..<1000 where log.refused(Self.origin("http://h\(number).example"), at: Self.after(1)) {
            unnamed += 1
        }
        #expect(lines.all.count == BridgeLimits.loggedOrigins + 1, "one line says that others are only counted")
        #expect(unnamed == 1000 - BridgeLimits.loggedOrigins)
        _ = log.refused(ClientRefusal(.unsupportedParser), at: Self.after(2))
        #expect(lines.all.last?.contains("unsupported_parser") == true)
        let isUnnamed = log.refused(Self.origin("http://late.example"), at: Self.after(61))
        #expect(!isUnnamed, "a minute later there is room again")
        #expect(lines.all.last?.contains("http://late.example") == true)
    }

    @Test(arguments: ClientRefusal.Cause.allCases)
    func `each cause is one clean line with a advice, whatever the client wrote`(cause: ClientRefusal.Cause) {
        let hostile = ByteString(String(repeating: "\u{1b}[31m\nerror forged ' ", count: 100_000))
        let refusal = ClientRefusal(cause, hostile, namespace: hostile, room: hostile)
        #expect(refusal.detail.count <= 256)
        let (text, advice) = refusal.words(BridgeConfiguration())
        #expect(!text.isEmpty && !advice.isEmpty && text.count + advice.count < 900)
        #expect((text + advice).unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) })
        #expect(cause.label.allSatisfy { $0 == "_" || $0.isLowercase })
    }

    @Test func `an event like join is taken for it`() {
        let advice = ClientRefusal(.unhandledEvent, "Join", namespace: "/").words(BridgeConfiguration()).advice
        #expect(advice.contains("such as join"))
        #expect(!ClientRefusal(.unhandledEvent, "chat").words(BridgeConfiguration()).advice.contains("such as"))
    }

    // MARK: What explain is told

    @Test func `one namespace is no namespaces`() {
        var configuration = BridgeConfiguration()
        let refusal = ClientRefusal(.tooManyNamespaces)
        #expect(refusal.words(configuration).text.hasSuffix("more than 64 namespaces"))
        configuration.maxNamespacesPerSession = 1
        #expect(refusal.words(configuration).text.hasSuffix("more than 1 namespace"))
    }

    @Test func `equal refusals are one, the oldest of a cause makes room, and no cause pushes out another`() {
        var recent = RecentRefusals()
        recent.note(ClientRefusal(.originRefused, "http://a.example"), at: 1)
        for number in 0..<1000 { recent.note(ClientRefusal(.unhandledEvent, ByteString("e\(number)")), at: 2) }
        recent.note(ClientRefusal(.originRefused, "http://a.example"), at: 3)
        #expect(recent.all.count == BridgeLimits.recentRefusalsPerCause + 1)
        #expect(
            recent.all.last == .init(refusal: ClientRefusal(.originRefused, "http://a.example"), count: 2, lastAt: 3))
        #expect(recent.all.first?.refusal.detail == "e984")
    }

    // MARK: Where they come from

    @Test(
        arguments: [
            ("EIO=3&transport=polling", ClientRefusal(.unsupportedVersion, "3")),
            ("transport=polling", ClientRefusal(.unsupportedVersion)),
            ("EIO=4&transport=webtransport", ClientRefusal(.unknownTransport, "webtransport")),
            ("EIO=4&transport=websocket", ClientRefusal(.websocketWithoutUpgrade)),
        ])
    func `a refused request is known by its cause`(query: String, expected: ClientRefusal) {
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/socket.io/?" + query)
        #expect(throws: EngineIORefusal.self) {
            try EngineIORequest(method: .get, query: query.utf8, isWebSocketUpgrade: false)
        }
        do throws(EngineIORefusal) {
            _ = try EngineIORequest(method: .get, query: query.utf8, isWebSocketUpgrade: false)
        } catch {
            #expect(ClientRefusal(error, of: head) == expected)
        }
    }

    @Test(
        arguments: [
            ("bg6R0eXBl", .unsupportedParser), (#"4{"type":0,"nsp":"/"}"#, .unsupportedParser),
            ("x", .invalidPacket), ("42[", .invalidPacket),
        ] as [(String, ClientRefusal.Cause)])
    func `a first packet of another parser is told apart from a broken one`(
        body: String, cause: ClientRefusal.Cause
    ) {
        let harness = BridgeHarness()
        _ = harness.post(body, to: harness.makeSession())
        #expect(harness.shard.counters.refusals.total == 1 && harness.shard.counters.refusals[cause] == 1)
    }

    @Test func `events that nobody handles, refused joins and namespaces are counted`() {
        var configuration = BridgeConfiguration()
        configuration.namespaces = ["/"]
        let harness = BridgeHarness(configuration)
        let session = harness.makeSession()
        _ = harness.post(
            "40", #"42["chat",1]"#, #"42[7]"#, #"42["join",{}]"#, #"42["join",{"room":"a::b"}]"#, "40/x,", to: session)
        let counts = harness.shard.counters.refusals
        #expect(counts[.unhandledEvent] == 2 && counts[.joinRefused] == 2 && counts[.namespaceRefused] == 1)
        #expect(counts.total == 5)
        #expect(
            harness.shard.refusals.all.contains { $0.refusal == ClientRefusal(.unhandledEvent, "chat", namespace: "/") }
        )
    }
}
