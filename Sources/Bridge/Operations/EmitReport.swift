import Bytes
import RedisPubSub

/// The result of a `POST /emit` with `"report": true`.
struct EmitReport: Sendable {
    /// The sockets of all event loops.
    private(set) var sum = Part()
    /// Servers subscribed to the channel, including this one; nil if it wasn't published.
    private(set) var subscribers: Int?
    private(set) var reasons: [Reason]
    /// Rooms that keep it.
    var kept = 0
    /// The namespace has clients on this server.
    var hasClients: Bool { sum.lookup.sockets > 0 }

    /// A reason why the message didn't reach more clients.
    struct Reason: Sendable {
        /// As programs read it; the names are part of the interface.
        let code: String
        let text: String
        var room: ByteString?
        var similar: [ByteString] = []
    }

    /// The sockets of one event loop.
    struct Part: Sendable {
        /// In the rooms of the message.
        var matched = 0
        /// The message was queued for them.
        var queued = 0
        var skippedBySid = 0
        /// Closed because too much waited for them already.
        var tooSlow = 0
        var lookup = RoomLookup()

        static func += (left: inout Part, right: Part) {
            left.matched += right.matched
            left.queued += right.queued
            left.skippedBySid += right.skippedBySid
            left.tooSlow += right.tooSlow
            left.lookup.add(right.lookup)
        }
    }

    /// How publishing ended.
    enum Publication: Sendable {
        /// The number of subscribers that Redis counted.
        case published(Int)
        case failed(RedisError)
        /// The server runs without Redis.
        case withoutRedis
    }

    init(_ parts: [Part], namespace: ByteString, allowed: Set<ByteString>?, publication: Publication) {
        sum = parts.reduce(into: Part(), +=)
        reasons = Reason.reasons(for: sum.lookup, namespace: namespace, allowed: allowed)
        if sum.tooSlow > 0 {
            let text = "\(sum.tooSlow) clients were disconnected: more than --max-queue waited for them"
            reasons.append(Reason(code: "slow_client", text: text))
        }
        switch publication {
        case .published(let count): subscribers = count
        case .failed(let error): reasons.append(.notPublished(error))
        case .withoutRedis:
            let text = "this server runs without Redis: there are no other servers"
            reasons.append(Reason(code: "no_redis", text: text))
        }
    }

    var json: JSONValue {
        .object([
            ("matched", .integer(sum.matched)), ("queued", .integer(sum.queued)),
            ("skipped", .object([("skip_sid", .integer(sum.skippedBySid)), ("slow_client", .integer(sum.tooSlow))])),
            ("published", .bool(subscribers != nil)), ("redis_subscribers", subscribers.map { .integer($0) } ?? .null),
            ("kept", .integer(kept)),
            ("reasons", .list(reasons.map(\.json))),
        ])
    }
}

extension EmitReport.Reason {
    var json: JSONValue {
        var members: [(String, JSONValue)] = [("code", .text(code)), ("text", .text(text))]
        if let room { members += [("room", .name(room)), ("similar", .list(similar.map { .name($0) }))] }
        return .object(members)
    }

    static func notPublished(_ error: RedisError) -> Self {
        Self(code: "not_published", text: "clients of this server get it, other servers on the channel don't: \(error)")
    }

    /// The reasons why rooms or the namespace have no members.
    static func reasons(for lookup: RoomLookup, namespace: ByteString, allowed: Set<ByteString>?) -> [Self] {
        if let allowed, !allowed.contains(namespace) {
            let names = allowed.map(\.description).sorted().joined(separator: ", ")
            return [Self(code: "namespace_not_allowed", text: "clients may open \(names) only, see --namespace")]
        }
        guard lookup.sockets > 0 else {
            let names = lookup.namespaces.map(\.description).sorted().joined(separator: ", ")
            let others = names.isEmpty ? "nobody is connected at all" : "namespaces with clients: \(names)"
            return [
                Self(code: "no_such_namespace", text: "no client is connected to namespace \(namespace); \(others)")
            ]
        }
        return lookup.members.filter { $0.value == 0 }.map(\.key).sorted { $0.description < $1.description }.map {
            nobody(in: $0, lookup)
        }
    }

    private static func nobody(in room: ByteString, _ lookup: RoomLookup) -> Self {
        let similar = lookup.similar[room] ?? []
        let elsewhere = lookup.elsewhere[room] ?? []
        var text = "nobody is in room \(room)"
        if !similar.isEmpty { text += "; similar names: \(similar.map(\.description).joined(separator: ", "))" }
        if !elsewhere.isEmpty {
            text += "; such a room has members in \(elsewhere.map(\.description).joined(separator: ", "))"
        }
        return Self(code: "nobody_in_room", text: text, room: room, similar: similar)
    }
}

extension Shard {
    /// Delivers and counts. Slower than `perform`, so only for emits with a report.
    func deliverReporting(_ delivery: Delivery) -> EmitReport.Part {
        var part = EmitReport.Part()
        var rooms: [ByteString] = []
        if case .these(let names) = delivery.rooms { rooms = names }
        part.lookup = lookUp(rooms, in: delivery.namespace)
        let sockets = sockets(of: delivery)
        part.matched = sockets.count
        part.skippedBySid = sockets.count { delivery.skip.contains($0.sid) }
        let before = sessions.counters
        perform([.deliver(delivery)])
        part.queued = sessions.counters.packetsQueued - before.packetsQueued
        part.tooSlow = sessions.counters.slowClientsClosed - before.slowClientsClosed
        return part
    }

    private func sockets(of delivery: Delivery) -> [Socket] {
        guard let namespace = registry.namespaces[delivery.namespace] else { return [] }
        guard case .these(let names) = delivery.rooms else { return namespace.everyone.members.map(\.socket) }
        var seen: Set<ObjectIdentifier> = []
        let all = names.flatMap { name in
            (namespace.rooms[name]?.members.map(\.socket) ?? []) + [namespace.sockets[name]].compactMap { $0 }
        }
        return all.filter { seen.insert(ObjectIdentifier($0)).inserted }
    }
}
