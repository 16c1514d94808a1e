import JSONCodec

/// Who is in some rooms, and what may have been meant where nobody is. One event loop's answer, or several added up.
struct RoomLookup: Sendable {
    /// Sockets of the namespace.
    var sockets = 0
    /// Members of each room asked for, sids included.
    var members: [ByteString: Int] = [:]
    /// Names like those of rooms without members.
    var similar: [ByteString: [ByteString]] = [:]
    /// Other namespaces in which such a room has members.
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
    /// Looks rooms up, the first of a long list only.
    func lookUp(_ rooms: [ByteString], in name: ByteString) -> RoomLookup {
        var lookup = RoomLookup()
        lookup.namespaces = Array(registry.namespaces.names.prefix(BridgeLimits.reportedRooms))
        let namespace = registry.namespaces[name]
        lookup.sockets = namespace?.sockets.count ?? 0
        for room in rooms.prefix(BridgeLimits.reportedRooms) {
            let members = namespace.map { Self.members(of: room, in: $0) } ?? 0
            lookup.members[room] = members
            guard members == 0 else { continue }
            // Few namespaces, or those of a stranger who opens many: their number is bounded like the rooms'.
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
        (namespace.rooms[room]?.members.count ?? 0) + (namespace.sockets[room] == nil ? 0 : 1)
    }
}
