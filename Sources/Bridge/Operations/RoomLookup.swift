import Bytes

/// The members of some rooms and, for empty ones, names that may have been meant. From one event loop, or added up over several.
struct RoomLookup: Sendable {
    /// Sockets of the namespace.
    var sockets = 0
    /// Members of each requested room; a sid counts as a room.
    var members: [ByteString: Int] = [:]
    /// For each empty room, existing names that are similar.
    var similar: [ByteString: [ByteString]] = [:]
    /// For each empty room, other namespaces in which it has members.
    var elsewhere: [ByteString: [ByteString]] = [:]
    /// Namespaces with sockets.
    var namespaces: [ByteString] = []

    mutating func add(_ other: RoomLookup) {
        sockets += other.sockets
        members.merge(other.members, uniquingKeysWith: +)
        similar.merge(other.similar) { Self.union($0, $1) }
        elsewhere.merge(other.elsewhere) { Self.union($0, $1) }
        namespaces = Self.union(namespaces, other.namespaces)
    }

    private static func union(_ left: [ByteString], _ right: [ByteString]) -> [ByteString] {
        Array((left + right.filter { !left.contains($0) }).prefix(BridgeLimits.reportedNames))
    }
}

extension Shard {
    /// Looks rooms up; of a long list only the first ones.
    func lookUp(_ rooms: [ByteString], in name: ByteString) -> RoomLookup {
        var lookup = RoomLookup()
        lookup.namespaces = registry.namespaces.values.lazy.filter { $0.everyone.presentCount > 0 }
            .prefix(BridgeLimits.reportedRooms).map(\.name)
        let namespace = registry.namespaces[name]
        lookup.sockets = namespace?.everyone.presentCount ?? 0
        for room in rooms.prefix(BridgeLimits.reportedRooms) {
            let members = namespace.map { Self.members(of: room, in: $0) } ?? 0
            lookup.members[room] = members
            guard members == 0 else { continue }
            // The number of namespaces is limited as well: a stranger may open many.
            lookup.elsewhere[room] = registry.namespaces.values.prefix(BridgeLimits.searchedNamespaces)
                .filter { $0.name != name && Self.members(of: room, in: $0) > 0 }.map(\.name)
            var similar = SimilarNames(to: room)
            if let namespace {
                for other in namespace.rooms.names { if !similar.compare(other) { break } }
            }
            lookup.similar[room] = similar.found
        }
        return lookup
    }

    private static func members(of room: ByteString, in namespace: Namespace) -> Int {
        (namespace.rooms[room]?.presentCount ?? 0) + (namespace.sockets[room].map { $0.isParked ? 0 : 1 } ?? 0)
    }
}
