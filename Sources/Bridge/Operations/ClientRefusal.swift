import Bytes
import Logging
import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// A request, packet or event of a client that was refused.
struct ClientRefusal: Sendable, Hashable {
    /// The values of the label `cause`, and the codes of `ws-emit explain`.
    enum Cause: Int, CountedCase, Sendable {
        case originRefused
        case unsupportedVersion
        case unknownTransport
        case websocketWithoutUpgrade
        case unknownSession
        case endedSession
        case overlappingPolls
        case invalidRequest
        case tooLarge
        case brokenRequest
        case malformedRequest
        case unknownPath
        case unsupportedParser
        case invalidPacket
        case noNamespace
        case namespaceRefused
        case tooManyNamespaces
        case joinRefused
        case unhandledEvent
        case queueFull
        case stalled
        case unreadAcks
    }

    let cause: Cause
    /// Details, as the client wrote them or in our words: an Origin, an event's name, the fault of a packet.
    let detail: ByteString
    /// The namespace of a refused join or event.
    let namespace: ByteString?
    /// The room of a join.
    let room: ByteString?

    init(_ cause: Cause, _ detail: ByteString = "", namespace: ByteString? = nil, room: ByteString? = nil) {
        self.cause = cause
        self.detail = Self.cut(detail)
        self.namespace = namespace.map(Self.cut)
        self.room = room.map(Self.cut)
    }

    private static func cut(_ name: ByteString) -> ByteString {
        name.count <= BridgeLimits.refusedNameBytes
            ? name : ByteString(bytes: name.bytes.prefix(BridgeLimits.refusedNameBytes))
    }
}

extension ClientRefusal {
    /// The event and the change that prevents it, as two clauses.
    func words(_ configuration: BridgeConfiguration) -> (text: String, advice: String) {
        switch cause {
        case .originRefused:
            let advice = OriginAdvice(refused: detail.description, allowed: configuration.origins)
            return ("the Origin \(advice.origin) is refused", advice.advice)
        case .unsupportedVersion:
            return (
                detail.count == 0
                    ? "a request without EIO is from no Socket.IO client of release 3 or later"
                    : "a client speaks version \(shownDetail) of Engine.IO instead of 4",
                "let it use a Socket.IO client of release 3 or later (in Java 2, in Python 5): EIO=3 is release 2"
            )
        case .unknownTransport:
            return (
                "a client asks for the transport '\(shownDetail)'",
                "let it use transports: [\"polling\", \"websocket\"] or leave that option away"
            )
        case .websocketWithoutUpgrade:
            return (
                "a request for a websocket came without the headers Upgrade and Connection: a proxy took them away",
                "let the proxy pass them on, nginx by proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade"
                    + " and proxy_set_header Connection upgrade (docs/nginx.md)"
            )
        case .unknownSession:
            return (
                "a request is for a session of another ws-emit, or of this one before a restart",
                "behind a load balancer send each client to one ws-emit by a cookie, with io(url, {withCredentials: true})"
                    + " in pages of another origin, or let pages use transports: [\"websocket\"] (docs/cluster.md)"
            )
        case .endedSession:
            return (
                "a request is for a session that has ended",
                "nothing, after a client slept or lost its network: it connects again; otherwise /metrics counts why"
                    + " sessions end"
            )
        case .overlappingPolls:
            return (
                "two polls of one session came at the same time",
                "see that the proxy sends no request twice, and that pages don't share a session"
            )
        case .invalidRequest:
            return (
                "a request can't be served: \(shownDetail)",
                "let the client use a Socket.IO client of release 3 or later"
            )
        case .tooLarge:
            return (
                "a client sends more than \(configuration.maxPayload) bytes at once",
                "raise --max-payload, or let the page send that to your backend"
            )
        case .brokenRequest:
            return (
                "a client doesn't speak HTTP",
                "if it speaks TLS, as https:// and wss:// do, or a proxy sends the PROXY protocol: this port speaks plain"
                    + " HTTP, put a proxy with TLS in front (docs/nginx.md)"
            )
        case .malformedRequest:
            return (
                "a request breaks the rules of HTTP (\(shownDetail))",
                "fix the client, or the proxy between it and ws-emit"
            )
        case .unknownPath:
            return (
                "a Socket.IO client asks at \(shownDetail), and ws-emit answers at \(configuration.path)",
                "let the page use io(url, {path: \"\(configuration.path)\"}), let the proxy keep the path, or set --path"
            )
        case .unsupportedParser:
            return (
                "a client writes its packets otherwise than Socket.IO's own parser: \(shownDetail)",
                "let the page leave the option parser of io() away; ws-emit doesn't understand msgpack"
            )
        case .invalidPacket:
            return (
                "a client's packet breaks the protocol: \(shownDetail)",
                "let it use a Socket.IO client of release 3 or later, and look at what lies between"
            )
        case .noNamespace:
            return (
                "a client opened no namespace within \(configuration.timing.connectTimeout)",
                "let it use a Socket.IO client: a bare websocket or Engine.IO client isn't one"
            )
        case .namespaceRefused:
            return (
                "a client wants the namespace \(shownDetail), which --namespace doesn't name",
                "add --namespace \(shownDetail), if pages should use it"
            )
        case .tooManyNamespaces:
            return (
                "a client wants more than \(configuration.maxNamespacesPerSession)"
                    + " namespace\(configuration.maxNamespacesPerSession == 1 ? "" : "s")",
                "raise --max-namespaces"
            )
        case .joinRefused:
            let what = room.map { $0.count == 0 ? "a join" : "the join of room \(Self.shown($0))" } ?? "a join"
            return (
                "\(what) in namespace \(Self.shown(namespace)) is refused: \(shownDetail)",
                "let the page read the ack: socket.emit(\"join\", …, answer => …) (docs/rooms.md)"
            )
        case .unhandledEvent:
            var similar = SimilarNames(to: detail)
            for known: ByteString in ["join", "leave"] { _ = similar.compare(known) }
            let hint = similar.found.first.map { ", such as \($0)" } ?? ""
            return (
                "a client sends the event \(shownDetail) in namespace \(Self.shown(namespace)), which nobody handles",
                "ws-emit takes only join and leave from clients\(hint): let the page send the rest to your backend, by HTTP"
            )
        case .queueFull:
            return (
                "a client too slow was disconnected: more than --max-queue waited for it",
                "raise --max-queue, emit less, or let a rule give its rooms slow=drop-oldest or slow=latest (docs/rules.md)"
            )
        case .stalled:
            return (
                "a client too slow was disconnected: it took nothing for longer than --stall-timeout, and more than"
                    + " \(BridgeLimits.stallBytes) bytes waited",
                "nothing, if it slept or lost its network; otherwise raise --stall-timeout, or let a rule give its rooms"
                    + " slow=drop-oldest or slow=latest (docs/rules.md)"
            )
        case .unreadAcks:
            return (
                "a client too slow was disconnected: it asks for acks and doesn't read them",
                "let it read what it gets, or send fewer events at once"
            )
        }
    }

    private var shownDetail: String { Self.shown(detail) }

    /// A stranger's text as its description shows it: printable, on one line.
    private static func shown(_ name: ByteString?) -> String { name?.description ?? "" }
}

extension ClientRefusal {
    init(_ slowClient: EngineIOSession.SlowClient) {
        switch slowClient {
        case .queueFull: self.init(Cause.queueFull)
        case .stalled: self.init(Cause.stalled)
        case .unreadAcks: self.init(Cause.unreadAcks)
        }
    }

    /// The refusal of a request below the Engine.IO path.
    init(_ refusal: EngineIORefusal, of head: HTTPRequestHead) {
        switch refusal {
        case .unsupportedVersion: self.init(.unsupportedVersion, Self.value(of: "EIO", in: head))
        case .invalidTransport: self.init(.unknownTransport, Self.value(of: "transport", in: head))
        case .invalidWebSocketUpgrade: self.init(.websocketWithoutUpgrade)
        case .invalidSession(nil): self.init(.invalidRequest, "a POST without sid")
        case .foreignSession, .invalidSession: self.init(.unknownSession)
        case .slowClient: self.init(.endedSession)
        case .invalidJSONPIndex, .unexpectedRequest, .originNotAccepted, .overlappingPoll, .invalidPayload:
            self.init(.invalidRequest, ByteString("\(refusal)"))
        }
    }

    private static func value(of name: String, in head: HTTPRequestHead) -> ByteString {
        var found = ByteString("")
        FormEncoding.forEachPair(in: head.uri.utf8.drop { $0 != UInt8(ascii: "?") }.dropFirst()) {
            if $0.elementsEqual(name.utf8) { found = ByteString(bytes: $1) }
        }
        return found
    }
}

/// The refused client, for the log.
extension Logger.Metadata {
    static func address(_ address: SocketAddress?) -> Self {
        address?.ipAddress.map { ["address": "\($0)"] } ?? [:]
    }

    static func sender(of head: HTTPRequestHead) -> Self {
        var client: Self = [:]
        for (key, header) in [("origin", "origin"), ("user_agent", "user-agent"), ("forwarded_for", "x-forwarded-for")]
        {
            guard let value = head.headers.first(name: header) else { continue }
            client[key] = "\(PrintableText.line(value))"
        }
        return client
    }
}
