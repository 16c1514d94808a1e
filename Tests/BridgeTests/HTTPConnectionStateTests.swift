import NIOCore
import NIOHTTP1
import Testing

@testable import Bridge

/// Events in, actions out: no channel, no clock.
@Suite struct HTTPConnectionStateTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private static func state() -> HTTPConnectionState {
        HTTPConnectionState(
            headDeadline: start + .seconds(10),
            timeouts: .init(body: .seconds(30), idle: .seconds(75), close: .seconds(3)))
    }

    private static func head(
        _ method: HTTPMethod = .GET, _ uri: String = "/a", version: HTTPVersion = .http1_1,
        _ headers: [(String, String)] = []
    ) -> HTTPRequestHead {
        HTTPRequestHead(
            version: version, method: method, uri: uri, headers: HTTPHeaders([("Host", "x")] + headers))
    }

    private enum Event {
        case head(HTTPRequestHead)
        case body(String)
        case end, broken, giveUp
        /// The endpoint has responded.
        case respond
        case respondAndClose
        /// The next part that waited.
        case next
        case shutdown
    }

    /// What an event leads to, as a word.
    private static func outcome(of event: Event, on state: inout HTTPConnectionState) -> String {
        let action: HTTPConnectionState.Action? =
            switch event {
            case .head(let head): state.received(.head(head), at: start, bodyLimit: { _ in 10 })
            case .body(let text): state.received(.body(ByteBuffer(string: text)), at: start, bodyLimit: { _ in 10 })
            case .end: state.received(.end(nil), at: start, bodyLimit: { _ in 10 })
            case .broken: state.receivedBrokenRequest()
            case .giveUp: state.giveUp()
            case .next: state.nextAction(at: start, bodyLimit: { _ in 10 })
            case .respond, .respondAndClose, .shutdown: nil
            }
        switch (event, action) {
        case (.respond, _), (.respondAndClose, _):
            let close = if case .respondAndClose = event { true } else { false }
            return state.respond(closesConnection: close, at: start).map {
                "\($0.framing.persistence) \($0.continuation)"
            }
                ?? "nothing"
        case (.shutdown, _): return state.closeWhenIdle() ? "close" : "later"
        case (_, .route(let head, let body)): return "route \(head.uri) \(String(buffer: body))"
        case (_, .refuse(_, let refusal)): return "refuse \(refusal)"
        case (_, let action?): return "\(action)"
        case (_, nil): return "nil"
        }
    }

    private static let upgrade = [("Connection", "Upgrade"), ("Upgrade", "h2c")]

    /// Rows: what happens, and what each event leads to.
    private static let rows: [(events: [Event], outcomes: [String])] = [
        // One request after the other
        (
            [.head(head()), .end, .respond, .head(head(.POST, "/b")), .body("x"), .body("y"), .end, .respond],
            ["none", "route /a ", "implied nextRequest", "none", "none", "none", "route /b xy", "implied nextRequest"]
        ),
        // Parts that come before the response wait for it.
        (
            [
                .head(head()), .end, .head(head(.GET, "/b")), .end, .next, .respond, .next, .next, .next, .respond,
                .next,
            ],
            [
                "none", "route /a ", "none", "none", "nil", "implied nextRequest", "none", "route /b ", "nil",
                "implied nextRequest", "nil",
            ]
        ),
        (
            [.head(head()), .end, .broken, .next, .respond, .next],
            ["none", "route /a ", "none", "nil", "implied nextRequest", "refuseUnreadable"]
        ),
        // Persistence
        ([.head(head(version: .http1_0)), .end, .respond], ["none", "route /a ", "close drain"]),
        (
            [.head(head(version: .http1_0, [("Connection", "keep-alive")])), .end, .respond],
            ["none", "route /a ", "keepAlive nextRequest"]
        ),
        (
            [.head(head(version: .http1_1, [("Connection", "close")])), .end, .respond],
            ["none", "route /a ", "close drain"]
        ),
        ([.head(head()), .end, .respondAndClose], ["none", "route /a ", "close drain"]),
        ([.respond], ["nothing"]),
        // Offers of another protocol
        ([.head(head(.GET, "/a", upgrade)), .end, .respond], ["none", "route /a ", "implied replaceParser"]),
        (
            [.head(head(.GET, "/a", [("Connection", "Upgrade")])), .end, .respond],
            ["none", "route /a ", "implied nextRequest"]
        ),
        // Refusals, which end the connection
        (
            [.head(head(.GET, "/a", [("Host", "y")])), .respondAndClose],
            ["refuse malformed(400 Bad Request, \"A request must have exactly one Host header\")", "close drain"]
        ),
        (
            [.head(head(.CONNECT, "x:1")), .respondAndClose],
            ["refuse malformed(405 Method Not Allowed, \"This server is not a proxy\")", "close drain"]
        ),
        ([.head(head(.POST, "/a", [("Content-Length", "10")])), .end], ["none", "route /a "]),
        ([.head(head(.POST, "/a", [("Content-Length", "11")]))], ["refuse bodyTooLarge(limit: 10)"]),
        ([.head(head(.POST)), .body("12345"), .body("67890"), .end], ["none", "none", "none", "route /a 1234567890"]),
        ([.head(head(.POST)), .body("12345"), .body("678901")], ["none", "none", "refuse bodyTooLarge(limit: 10)"]),
        (
            [.head(head(.POST)), .body("1"), .giveUp, .respondAndClose],
            ["none", "none", "refuse givenUp", "close drain"]
        ),
        ([.giveUp], ["none"]),
        ([.broken, .respondAndClose], ["refuseUnreadable", "close drain"]),
        (
            [.head(head(.POST)), .broken],
            ["none", "refuse malformed(400 Bad Request, \"The request is not valid HTTP\")"]
        ),
        // Nothing is read behind a response that closes.
        (
            [.head(head()), .end, .respondAndClose, .head(head()), .end, .broken, .respond],
            ["none", "route /a ", "close drain", "none", "none", "none", "nothing"]
        ),
        (
            [.head(head(.POST, "/a", [("Expect", "100-continue")])), .body("x"), .end],
            ["askForBody", "none", "route /a x"]
        ),
        // The server stops.
        ([.shutdown], ["close"]),
        ([.head(head()), .shutdown, .end, .respond], ["none", "later", "route /a ", "close drain"]),
    ]

    @Test(arguments: rows.indices) func `each event leads to its action`(row: Int) {
        var state = Self.state()
        let (events, outcomes) = Self.rows[row]
        let found = events.map { Self.outcome(of: $0, on: &state) }
        #expect(found == outcomes)
    }

    /// Rows: events, seconds until the connection is overdue, what is counted then.
    private static let deadlines: [(events: [Event], seconds: Int64, overdue: HTTPConnectionState.Overdue)] = [
        ([], 10, .closeRequest), ([.head(head(.POST))], 30, .closeRequest),
        ([.head(head(.POST)), .body("x")], 30, .closeRequest),
        ([.head(head()), .end, .respond], 75, .close), ([.head(head()), .end, .respondAndClose], 3, .close),
    ]

    @Test(arguments: deadlines.indices) func `each phase has its deadline`(row: Int) {
        let (events, seconds, overdue) = Self.deadlines[row]
        var state = Self.state()
        for event in events { _ = Self.outcome(of: event, on: &state) }
        let end = Self.start + .seconds(seconds)
        let found = [end - .nanoseconds(1), end, end + .hours(1)].map { state.timerFired(at: $0) }
        #expect(found == [.nothing, overdue, .nothing])
    }

    @Test func `a request that is with its endpoint has no deadline, and nothing is read meanwhile`() {
        var state = Self.state()
        #expect(state.mayRead)
        for event in [Event.head(Self.head()), .end] { _ = Self.outcome(of: event, on: &state) }
        let overdue = state.timerFired(at: Self.start + .hours(24))
        #expect(!state.mayRead && overdue == .nothing)
        _ = Self.outcome(of: .respond, on: &state)
        #expect(state.mayRead)
    }

    @Test func `bytes that come without a parser wait for the next one`() {
        var state = Self.state()
        let isEarlyTaken = state.receivedUnparsed(ByteBuffer(string: "not asked for"))
        #expect(!isEarlyTaken)
        for event in [Event.head(Self.head(.GET, "/a", Self.upgrade)), .end, .respond] {
            _ = Self.outcome(of: event, on: &state)
        }
        #expect(!state.mayRead)
        let areTaken = ["GET /b", " HTTP/1.1"].map { state.receivedUnparsed(ByteBuffer(string: $0)) }
        #expect(areTaken == [true, true])
        let unparsed = [state.parserReplaced(at: Self.start), state.parserReplaced(at: Self.start)]
        #expect(unparsed == [ByteBuffer(string: "GET /b HTTP/1.1"), nil])
        #expect(state.mayRead)
    }

    @Test func `an unfinished body is counted until it is whole`() {
        var state = Self.state()
        var counts: [Int] = []
        for event in [Event.head(Self.head(.POST)), .body("abc"), .body("de"), .end, .respond] {
            _ = Self.outcome(of: event, on: &state)
            counts.append(state.unfinishedBytes)
        }
        #expect(counts == [0, 3, 5, 0, 0])
    }
}
