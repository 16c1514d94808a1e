import DequeModule
import NIOCore
import NIOHTTP1

/// One HTTP connection from request to request: it decides how a request is read, when the next one is read, and when the
/// connection closes. No I/O, no clock.
///
///     awaitingHead ──head──▶ receivingBody ──end──▶ responding ──response──▶ awaitingHead
///                   │              │                    ├── that closes ──▶ draining
///                   └─── fault ────┴──▶ responding      └── upgrade ──────▶ withoutParser ──▶ awaitingHead, or a websocket
struct HTTPConnectionState {
    enum Phase: Equatable {
        case awaitingHead
        case receivingBody(HTTPRequestHead, ByteBuffer, limit: Int)
        /// The request is with its endpoint; parts of the next ones wait.
        case responding(HTTPResponse.Framing)
        /// Nothing more is read or written, but the client may still be sending.
        case draining
        /// The parser leaves the pipeline: bytes that come now are for a websocket or for the next parser.
        case withoutParser(ByteBuffer)
    }

    enum Action: Equatable {
        case none
        /// Send `100 Continue`.
        case askForBody
        case route(HTTPRequestHead, body: ByteBuffer)
        /// Respond at once, and close.
        case refuse(HTTPRequestHead, Refusal)
        /// The same for a request whose head can't be read.
        case refuseUnreadable
        case close
    }

    enum Refusal: Equatable {
        /// The request breaks the rules of HTTP; with the mistake, as a sentence without its full stop.
        case malformed(HTTPResponseStatus, String)
        case bodyTooLarge(limit: Int)
        /// Others need the memory that the unfinished body takes.
        case givenUp
    }

    /// The next step after a response.
    enum Continuation: Equatable {
        case nextRequest
        /// Read and drop what comes, so that the response isn't lost to a reset.
        case drain
        /// The parser stands still after an offer of another protocol; a new parser takes its place.
        case replaceParser
    }

    struct Timeouts {
        var body: TimeAmount
        var idle: TimeAmount
        var close: TimeAmount
    }

    private enum WaitingPart { case part(HTTPServerRequestPart), brokenRequest }

    private(set) var phase = Phase.awaitingHead
    /// Counts requests; tells a poll that waits from earlier ones of this connection.
    private(set) var requestID: UInt64 = 0
    /// The offer of the latest request.
    private(set) var upgradeOffer = RequestFraming.UpgradeOffer.none
    private(set) var deadline: NIODeadline?
    private(set) var closesWhenIdle = false
    /// Parts that came in the same read as a request that has no response yet. Nothing is read until it has one, so this
    /// holds one read at most.
    private var waitingParts: Deque<WaitingPart> = []
    private let timeouts: Timeouts

    /// - Parameter headDeadline: the latest time for the first request's head.
    init(headDeadline: NIODeadline, timeouts: Timeouts) {
        deadline = headDeadline
        self.timeouts = timeouts
    }

    var isResponding: Bool {
        if case .responding = phase { true } else { false }
    }

    /// Bytes may be read. A client that sends requests without reading the responses has to wait.
    var mayRead: Bool {
        if case .withoutParser = phase { false } else { !isResponding }
    }

    /// Bytes of a body whose end has not come.
    var unfinishedBytes: Int {
        if case .receivingBody(_, let body, _) = phase { body.readableBytes } else { 0 }
    }

    // MARK: Requests

    /// - Parameter bodyLimit: bytes that the body of a request may have.
    mutating func received(
        _ part: HTTPServerRequestPart, at now: @autoclosure () -> NIODeadline, bodyLimit: (HTTPRequestHead) -> Int
    ) -> Action {
        switch (part, phase) {
        case (_, .responding):
            waitingParts.append(.part(part))
            return .none
        case (.head(let head), .awaitingHead): return received(head, at: now, bodyLimit: bodyLimit)
        case (.body(let part), .receivingBody(let head, var body, let limit)):
            guard body.readableBytes + part.readableBytes <= limit else {
                return refuse(head, .bodyTooLarge(limit: limit))
            }
            // The commonest body comes whole, and needs no copy.
            if body.readableBytes == 0 {
                body = part
            } else {
                phase = .awaitingHead  // releases the buffer, so that appending doesn't copy it
                body.writeImmutableBuffer(part)
            }
            phase = .receivingBody(head, body, limit: limit)
            return .none
        case (.end, .receivingBody(let head, let body, _)):
            phase = .responding(HTTPResponse.Framing(of: head))
            deadline = nil
            return .route(head, body: body)
        default: return .none
        }
    }

    private mutating func received(
        _ head: HTTPRequestHead, at now: () -> NIODeadline, bodyLimit: (HTTPRequestHead) -> Int
    ) -> Action {
        requestID += 1
        var head = head
        if let target = RequestFraming.originForm(ofAbsolute: head.uri) { head.uri = target }
        let framing = RequestFraming(head)
        RequestFraming.trim(&head.headers)
        upgradeOffer = framing.upgradeOffer
        if let fault = framing.fault { return refuse(head, .malformed(.badRequest, fault)) }
        // The parser stands still behind CONNECT, too.
        if case .CONNECT = head.method {
            return refuse(head, .malformed(.methodNotAllowed, "This server is not a proxy"))
        }
        let limit = bodyLimit(head)
        if let length = framing.contentLength, length > limit { return refuse(head, .bodyTooLarge(limit: limit)) }
        phase = .receivingBody(head, ByteBuffer(), limit: limit)
        deadline = now() + timeouts.body
        return framing.expectsContinue ? .askForBody : .none
    }

    /// The parser can't read the request.
    mutating func receivedBrokenRequest() -> Action {
        switch phase {
        case .awaitingHead:
            phase = .responding(HTTPResponse.Framing())
            return .refuseUnreadable
        case .receivingBody(let head, _, _): return refuse(head, .malformed(.badRequest, HTTPResponse.notHTTP))
        case .responding:
            waitingParts.append(.brokenRequest)
            return .none
        case .draining: return .none
        case .withoutParser: return .close
        }
    }

    /// Goes on with a part that waited for the response; nil if there is none, or while the next response is awaited.
    mutating func nextAction(
        at now: @autoclosure () -> NIODeadline, bodyLimit: (HTTPRequestHead) -> Int
    ) -> Action? {
        guard !isResponding, let next = waitingParts.popFirst() else { return nil }
        return switch next {
        case .part(let part): received(part, at: now(), bodyLimit: bodyLimit)
        case .brokenRequest: receivedBrokenRequest()
        }
    }

    /// Refuses the request whose body is incomplete.
    mutating func giveUp() -> Action {
        guard case .receivingBody(let head, _, _) = phase else { return .none }
        return refuse(head, .givenUp)
    }

    private mutating func refuse(_ head: HTTPRequestHead, _ refusal: Refusal) -> Action {
        phase = .responding(HTTPResponse.Framing(of: head))
        return .refuse(head, refusal)
    }

    // MARK: Responses

    /// The response is there; nil if none is awaited.
    mutating func respond(
        closesConnection: Bool, at now: NIODeadline
    ) -> (framing: HTTPResponse.Framing, continuation: Continuation)? {
        guard case .responding(var framing) = phase else { return nil }
        if closesConnection || closesWhenIdle || upgradeOffer == .unclear { framing.persistence = .close }
        if framing.persistence == .close {
            phase = .draining
            deadline = now + timeouts.close
            return (framing, .drain)
        }
        if upgradeOffer == .plain {
            phase = .withoutParser(ByteBuffer())
            return (framing, .replaceParser)
        }
        awaitHead(at: now)
        return (framing, .nextRequest)
    }

    private mutating func awaitHead(at now: NIODeadline) {
        phase = .awaitingHead
        deadline = now + timeouts.idle
    }

    // MARK: Without a parser

    /// The connection becomes a websocket as soon as earlier responses are written. The deadline ends a client that never
    /// reads them.
    mutating func awaitWrites(at now: NIODeadline) { deadline = now + timeouts.idle }

    mutating func removeParser() {
        deadline = nil
        phase = .withoutParser(ByteBuffer())
    }

    /// Keeps bytes that come without a parser for whoever follows it, and drops those that come at the end.
    ///
    /// - Returns: false if they are for the parser.
    mutating func receivedUnparsed(_ bytes: @autoclosure () -> ByteBuffer) -> Bool {
        switch phase {
        case .withoutParser(var unread):
            unread.writeImmutableBuffer(bytes())
            phase = .withoutParser(unread)
            return true
        case .draining: return true
        case .awaitingHead, .receivingBody, .responding: return false
        }
    }

    /// Bytes that came without a parser; nil while there is one.
    var unparsedBytes: ByteBuffer? {
        if case .withoutParser(let unread) = phase { unread } else { nil }
    }

    /// - Returns: the bytes that the new parser has to read; nil if none is awaited.
    mutating func parserReplaced(at now: NIODeadline) -> ByteBuffer? {
        guard let unparsedBytes else { return nil }
        awaitHead(at: now)
        return unparsedBytes
    }

    // MARK: Time

    enum Overdue: Equatable { case nothing, close, closeRequest }

    /// - Returns: `closeRequest` if a request was not there in time, `close` if the connection was idle or draining.
    mutating func timerFired(at now: NIODeadline) -> Overdue {
        guard let deadline, now >= deadline else { return .nothing }
        self.deadline = nil
        switch phase {
        case .receivingBody: return .closeRequest
        case .awaitingHead: return requestID == 0 ? .closeRequest : .close
        case .responding, .draining, .withoutParser: return .close
        }
    }

    /// The server stops: no further request.
    ///
    /// - Returns: true if the connection is idle and to be closed now.
    mutating func closeWhenIdle() -> Bool {
        closesWhenIdle = true
        return phase == .awaitingHead
    }
}
