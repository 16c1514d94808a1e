import Bytes
import NIOCore
import NIOHTTP1
import RedisPubSub
import SocketIOProtocol

/// `/livez`, `/readyz`, `/metrics`, `/explain`: for those who run the server.
///
/// | | listener for operators | public one, without the other | public one, with it |
/// |---|---|---|---|
/// | `/livez`, `/readyz` | yes | yes; reasons in full to this machine only | no |
/// | `/metrics` | yes | to this machine only, not through a proxy | no |
/// | `/explain` | yes | with the secret of `POST /emit`, since it names rooms | no |
struct OperationsEndpoint: Sendable {
    /// The client that asks: one of the operators' listener, one on this machine without a proxy, or any other.
    enum Audience { case operators, thisMachine, anybody }

    let readiness: Readiness
    let scrape: Scrape
    let metrics: BridgeMetrics
    let explainer: Explainer
    let secret: [UInt8]?

    /// Nil if the path is none of these or not for this audience.
    func route(
        _ head: HTTPRequestHead, path: Substring, from audience: Audience, on host: any ConnectionHost
    ) -> HTTPAction? {
        let action: () -> HTTPAction
        switch path {
        case "/livez": action = { .respond(liveness()) }
        case "/readyz": action = { .respond(readiness(for: audience)) }
        case "/metrics" where audience != .anybody:
            action = { .later(metricsPage(on: host.eventLoop)) }
        case "/explain" where audience == .operators || secret != nil:
            action = {
                audience == .operators || hasSecret(head) ? explanation(head, on: host) : .respond(Self.forbidden)
            }
        default: return nil
        }
        let methods = [(name: "Allow", value: "GET, HEAD, OPTIONS")]
        switch head.method {
        case .GET, .HEAD: return action()
        case .OPTIONS:
            // Load balancers use it for health checks, HAProxy by default, so the verdict is that of GET.
            guard path == "/livez" || path == "/readyz", case .respond(let response) = action() else {
                return .respond(HTTPResponse(.ok, text: "").adding(methods))
            }
            return .respond(response.adding(methods))
        default: return .respond(.errorPage(.methodNotAllowed, "Use GET.").adding(methods))
        }
    }

    private static let forbidden = HTTPResponse(.forbidden, contentType: HTTPResponse.html, text: "Incorrect secret\n")

    /// `Authorization: Bearer <secret>`, as in RFC 6750.
    private func hasSecret(_ head: HTTPRequestHead) -> Bool {
        guard let secret, let given = head.headers.first(name: "authorization"), given.hasPrefix("Bearer ") else {
            return false
        }
        return ConstantTime.areEqual(Array(given.utf8.dropFirst("Bearer ".utf8.count)), secret)
    }

    private func explanation(_ head: HTTPRequestHead, on host: any ConnectionHost) -> HTTPAction {
        var query: [String: [UInt8]] = [:]
        FormEncoding.forEachPair(in: head.uri.utf8.drop { $0 != UInt8(ascii: "?") }.dropFirst()) {
            query[String(decoding: $0, as: UTF8.self)] = $1
        }
        guard let room = query["room"] else {
            return .respond(.errorPage(.badRequest, "Name the room: /explain?room=time&namespace=/"))
        }
        let limit = host.configuration.maxNameBytes
        let namespace = query["namespace"] ?? [UInt8(ascii: "/")]
        let explained = explainer.explain(
            room: ByteString(bytes: room.prefix(limit)), namespace: ByteString(bytes: namespace.prefix(limit)),
            on: host.eventLoop)
        return .later(
            explained.map { [readiness] explanation in
                Self.response(.ok, explanation.json(readiness, at: .now(), milliseconds: WallClock.now()))
            })
    }

    /// Fails only if a restart would help, that is if an event loop hangs; not while Redis is away.
    private func liveness() -> HTTPResponse {
        let stuck = readiness.stuckLoops(at: .now())
        let body = JSONValue.object([
            ("alive", .bool(stuck.isEmpty)), ("stuck_loops", .list(stuck.map { .integer($0) })),
        ])
        return Self.response(stuck.isEmpty ? .ok : .serviceUnavailable, body)
    }

    private func readiness(for audience: Audience) -> HTTPResponse {
        let now = NIODeadline.now()
        let reasons = readiness.reasons(at: now)
        var members: [(String, JSONValue)] = [("ready", .bool(reasons.isEmpty))]
        switch audience {
        case .anybody: members.append(("reasons", .list(reasons.map { .object([("code", .text($0.code.rawValue))]) })))
        case .operators, .thisMachine:
            members.append(("reasons", .list(reasons.map(\.json))))
            members += readiness.details(at: now)
        }
        return Self.response(reasons.isEmpty ? .ok : .serviceUnavailable, .object(members))
    }

    private func metricsPage(on eventLoop: any EventLoop) -> EventLoopFuture<HTTPResponse> {
        scrape.collect(on: eventLoop).map { [readiness, metrics] numbers in
            var text = PrometheusText()
            MetricsPage(numbers: numbers, readiness: readiness, now: .now(), milliseconds: WallClock.now())
                .write(to: &text)
            metrics.write(to: &text)
            return HTTPResponse(.ok, contentType: PrometheusText.contentType, text: text.text)
        }
    }

    static func response(_ status: HTTPResponseStatus, _ value: JSONValue) -> HTTPResponse {
        HTTPResponse(status, contentType: "application/json", text: value.line).adding([("Cache-Control", "no-store")])
    }
}

extension Readiness.Reason {
    var json: JSONValue { .object([("code", .text(code.rawValue)), ("text", .text(text))]) }
}

extension SubscriptionGap {
    var json: JSONValue {
        .object([
            ("from", .integer(Int(from))), ("to", to.map { .integer(Int($0)) } ?? .null),
            ("cause", .text(cause.rawValue)), ("detail", .text(detail)),
        ])
    }
}

extension Readiness {
    /// The members of `/readyz` besides the verdict.
    func details(at now: NIODeadline) -> [(String, JSONValue)] {
        let state = current
        let canary: JSONValue =
            canaryInterval.map { interval in
                .object([
                    ("age_seconds", canaryAge(state, at: now).map { .number($0) } ?? .null),
                    ("round_trip_seconds", state.lastRoundTrip.map { .number($0.seconds) } ?? .null),
                    ("interval_seconds", .number(TimeAmount(interval).seconds)),
                    ("limit_seconds", .number(TimeAmount(canaryLimit).seconds)),
                ])
            } ?? .null
        let gaps = state.gaps.closed + [state.gaps.open].compactMap { $0 }
        return [
            ("subscribed", .bool(state.isSubscribed)), ("redis_outage", state.outage?.json(at: now) ?? .null),
            ("canary", canary), ("gaps", .list(gaps.map(\.json))),
        ]
    }
}

extension RedisOutage {
    func json(at now: NIODeadline) -> JSONValue {
        .object([
            ("since", .integer(Int(WallClock.milliseconds(since)))), ("seconds", .integer(seconds(at: now))),
            ("cause", .text(SubscriptionGap.Cause(cause).rawValue)), ("detail", .text("\(cause)")),
        ])
    }
}
