import Bytes
import NIOCore
import RedisPubSub

/// The facts of `/explain`: everything this server knows about why messages may not reach a room. `ws-emit explain` turns them
/// into words.
struct Explanation: Sendable {
    let configuration: BridgeConfiguration
    let hostID: ByteString
    let room: ByteString
    let namespace: ByteString
    var numbers: Scrape.Numbers
    var lookup = RoomLookup()
    private(set) var refusals: [RecentRefusals.Entry] = []
    /// The id of the canary that was sent for this request; nil if none could be sent.
    var canary: Int64?
    /// The secrets of the room-space; nil for a public room, or if Redis can't be asked.
    var secrets: RoomSecrets?
    /// The kept messages of the room; nil if there are none.
    var kept: (count: Int, oldest: Int64)?

    func json(_ readiness: Readiness, at now: NIODeadline, milliseconds: Int64) -> JSONValue {
        let reasons = readiness.reasons(at: now)
        var members: [(String, JSONValue)] = [
            ("version", .text(configuration.version)), ("host_id", .name(hostID)),
            ("redis", .text(configuration.redisName)),
            ("channels", .list(configuration.redisChannels.map { .text($0) })),
            ("origins", .list(configuration.origins.map { .text($0) })),
            ("allowed_namespaces", configuration.namespaces.map { .list(Self.names(Array($0))) } ?? .null),
            ("ready", .bool(reasons.isEmpty)), ("reasons", .list(reasons.map(\.json))),
        ]
        members += readiness.details(at: now)
        members += [
            ("canary_id", canary.map { .integer(Int($0)) } ?? .null),
            ("sessions", .integer(numbers.total.sessions)), ("sockets", .integer(lookup.sockets)),
            ("members", .integer(lookup.members[room] ?? 0)),
            ("similar", .list(Self.names(lookup.similar[room] ?? []))),
            ("elsewhere", .list(Self.names(lookup.elsewhere[room] ?? []))),
            ("namespaces", .list(Self.names(lookup.namespaces))),
            ("room_space", roomSpace),
            (
                "kept",
                kept.map { .object([("values", .integer($0.count)), ("oldest", .integer(Int($0.oldest)))]) } ?? .null
            ),
            ("now", .integer(Int(milliseconds))),
            (
                "refusals",
                .list(
                    refusals.sorted { $0.lastAt > $1.lastAt }.prefix(BridgeLimits.shownRefusals).map {
                        $0.json(configuration)
                    })
            ),
            ("senders", .list(senders(at: now, milliseconds))),
        ]
        return .object(members)
    }

    /// Adds the refusals of an event loop; equal ones of several loops become one.
    mutating func add(_ entries: [RecentRefusals.Entry], at milliseconds: Int64) {
        for entry in entries
        where milliseconds - entry.lastAt < BridgeLimits.recentRefusalWindow.nanoseconds / 1_000_000 {
            if let index = refusals.firstIndex(where: { $0.refusal == entry.refusal }) {
                refusals[index].count += entry.count
                refusals[index].lastAt = max(refusals[index].lastAt, entry.lastAt)
            } else {
                refusals.append(entry)
            }
        }
    }

    private static func names(_ names: [ByteString]) -> [JSONValue] {
        names.sorted { $0.text < $1.text }.map { .name($0) }
    }

    private var roomSpace: JSONValue {
        guard let space = JoinRequest.roomSpace(of: room) else { return .null }
        let hasSecret = secrets.flatMap { try? $0.usable() }.map { !$0.isEmpty }
        let problems = (secrets?.problems ?? []).map { problem in
            JSONValue.object([
                ("code", .text(problem.code.rawValue)), ("key", .text(problem.key)), ("text", .text(problem.text)),
            ])
        }
        let endsWithLineFeed = secrets?.problems.contains { $0.code == .lineFeed } ?? false
        return .object([
            ("name", .name(space)), ("has_secret", hasSecret.map { .bool($0) } ?? .null),
            ("secret_ends_with_line_feed", .bool(endsWithLineFeed)), ("problems", .list(problems)),
        ])
    }

    private func senders(at now: NIODeadline, _ milliseconds: Int64) -> [JSONValue] {
        numbers.router.senders.filter {
            $0.refusals + $0.corrected > 0 && now - $0.lastSeen < BridgeLimits.recentSenderWindow
        }.sorted { $0.refusals + $0.corrected > $1.refusals + $1.corrected }
            .prefix(BridgeLimits.shownSenders).map { sender in
                let time = { (moment: NIODeadline) in
                    JSONValue.integer(Int(milliseconds - max(0, (now - moment).nanoseconds / 1_000_000)))
                }
                return .object([
                    ("host_id", sender.hostID.map { .name($0) } ?? .null),
                    ("dialect", sender.dialect.map { .text($0.label) } ?? .null),
                    ("messages", .integer(sender.messages)), ("refusals", .integer(sender.refusals)),
                    ("last_refusal", sender.lastRefusal.map { .text($0) } ?? .null),
                    ("corrected", .integer(sender.corrected)),
                    ("mistakes", .list(sender.mistakes.all.map { .text($0.advice) })),
                    ("last_seen", time(sender.lastSeen)),
                    ("last_refused", sender.lastRefusedAt.map(time) ?? .null),
                ])
            }
    }
}

extension RecentRefusals.Entry {
    func json(_ configuration: BridgeConfiguration) -> JSONValue {
        let (text, advice) = refusal.words(configuration)
        return .object([
            ("cause", .text(refusal.cause.label)), ("count", .integer(count)), ("last", .integer(Int(lastAt))),
            ("text", .text(text)), ("advice", .text(advice)), ("detail", .name(refusal.detail)),
            ("namespace", refusal.namespace.map { .name($0) } ?? .null),
            ("room", refusal.room.map { .name($0) } ?? .null),
        ])
    }
}

/// Collects an ``Explanation`` from the event loops, Redis and the router. A loop that hangs is left out.
struct Explainer: Sendable {
    let configuration: BridgeConfiguration
    let hostID: ByteString
    let shards: [NIOLoopBound<Shard>]
    let router: RouterReference
    let scrape: Scrape

    func explain(
        room: ByteString, namespace: ByteString, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Explanation> {
        let (configuration, hostID) = (configuration, hostID)
        let parts = shards.map { shard in
            Scrape.nilAfterTimeout(on: eventLoop) {
                shard.eventLoop.submit { (shard.value.lookUp([room], in: namespace), shard.value.refusals.all) }
            }
        }
        let canary = Scrape.nilAfterTimeout(on: eventLoop) { router.sendCanary() }
        let secret = Scrape.nilAfterTimeout(on: eventLoop) { () -> EventLoopFuture<RoomSecrets?> in
            guard let space = JoinRequest.roomSpace(of: room) else { return eventLoop.makeSucceededFuture(nil) }
            return router.examineRoomSecrets(of: space).map { $0 }
        }
        let kept = Scrape.nilAfterTimeout(on: eventLoop) { router.keptSummary(of: room, in: namespace) }
        return scrape.collect(on: eventLoop).and(EventLoopFuture.whenAllSucceed(parts, on: eventLoop))
            .and(canary).and(secret).and(kept).map { replies in
                let ((((numbers, parts), canary), secret), kept) = replies
                var explanation = Explanation(
                    configuration: configuration, hostID: hostID, room: room, namespace: namespace, numbers: numbers)
                let now = WallClock.now()
                for case (let lookup, let refusals)? in parts {
                    explanation.lookup.add(lookup)
                    explanation.add(refusals, at: now)
                }
                explanation.canary = canary ?? nil
                explanation.secrets = secret ?? nil
                explanation.kept = kept ?? nil
                return explanation
            }
    }
}
