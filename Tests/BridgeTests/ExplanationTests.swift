import Bytes
import NIOCore
import PubSubMessages
import Testing

@testable import Bridge

/// The facts of `/explain`.
@Suite struct ExplanationTests {
    private static let now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    private static let milliseconds: Int64 = 1_700_000_000_000

    private static func explanation(room: ByteString = "r", senders: [SenderTable.Entry] = []) -> Explanation {
        var numbers = Scrape.Numbers(loops: [])
        numbers.router.senders = senders
        return Explanation(
            configuration: BridgeConfiguration(), hostID: "us", room: room, namespace: "/", numbers: numbers)
    }

    private static func json(_ explanation: Explanation) -> String {
        let readiness = Readiness(loopCount: 1, configuration: BridgeConfiguration())
        return explanation.json(readiness, at: now, milliseconds: milliseconds).line
    }

    @Test func `a public room has no secret, and a room-space tells whether it has one`() throws {
        #expect(Self.json(Self.explanation()).contains(#""room_space":null"#))
        var explanation = Self.explanation(room: "space::r")
        #expect(Self.json(explanation).contains(#""room_space":{"name":"space","has_secret":null"#))
        explanation.secrets = RoomSecrets(values: [.init(string: "s")])
        #expect(Self.json(explanation).contains(#""has_secret":true"#))
    }

    @Test func `only senders with refused or corrected messages are listed, the worst first, and no old ones`() {
        var table = SenderTable(capacity: 8, now: Self.now)
        for host: ByteString in ["good", "bad", "worse"] { table.note(host, dialect: .pickle, byteCount: 1) }
        var mistakes = SenderMistakes()
        mistakes.insert(.skipSIDEmpty)
        table.noteMistakes("bad", mistakes)
        for _ in 0..<2 { table.noteRefusal("worse", "why", byteCount: nil) }
        let text = Self.json(Self.explanation(senders: table.entries))
        #expect(!text.contains(#""good""#))
        let (worse, bad) = (text.firstRange(of: #""worse""#), text.firstRange(of: #""bad""#))
        #expect(worse != nil && bad != nil && worse?.lowerBound ?? text.endIndex < bad?.lowerBound ?? text.startIndex)
        #expect(text.contains(#""corrected":1,"mistakes":["#) && text.contains(#""last_refusal":"why""#))
        var old = SenderTable(capacity: 8, now: Self.now - .hours(1))
        old.noteRefusal("worse", "why", byteCount: 1)
        #expect(!Self.json(Self.explanation(senders: old.entries)).contains(#""worse""#))
    }

    @Test func `equal refusals of several loops are one, the latest comes first, and old ones are left out`() {
        var explanation = Self.explanation()
        let origin = ClientRefusal(.originRefused, "http://a.example")
        let event = ClientRefusal(.unhandledEvent, "chat", namespace: "/")
        let old = ClientRefusal(.unknownPath, "/x")
        explanation.add(
            [
                .init(refusal: origin, count: 2, lastAt: Self.milliseconds - 5000),
                .init(refusal: event, lastAt: Self.milliseconds - 1000),
                .init(refusal: old, lastAt: Self.milliseconds - 3_600_000),
            ], at: Self.milliseconds)
        explanation.add([.init(refusal: origin, count: 3, lastAt: Self.milliseconds - 4000)], at: Self.milliseconds)
        #expect(explanation.refusals.map(\.count) == [5, 1])
        let text = Self.json(explanation)
        #expect(text.contains(#""refusals":[{"cause":"unhandled_event","count":1"#))
        #expect(text.contains(#""cause":"origin_refused","count":5"#) && text.contains(#""advice":"#))
    }
}
