import Bytes

@testable import PubSubMessages

/// The two clients of the captures and their rooms: just enough of a server to find the receivers of a message.
struct RoomModel {
    struct Member {
        var sids: [ByteString: ByteString]
        /// The rooms by namespace; each namespace that the client has opened is a key.
        var rooms: [ByteString: Set<ByteString>]

        init(sids: [String: String], extraRoom: ByteString) {
            self.sids = Dictionary(uniqueKeysWithValues: sids.map { (ByteString($0), ByteString($1)) })
            rooms = [
                "/": [
                    "time", "news", "dir::/tmp/ws-emit", "sec::a::b", ByteString("комната-😀"), ByteString("café"),
                    extraRoom,
                ],
                "/chat": ["lobby"],
            ]
        }

        func gets(_ emit: PubSubMessage.Emit) -> Bool {
            guard let joined = rooms[emit.namespace] else { return false }
            let sid = sids[emit.namespace]
            if let sid, emit.skip.contains(sid) { return false }
            switch emit.rooms {
            case .everyone: return true
            case .these(let names): return names.contains { joined.contains($0) || $0 == sid }
            }
        }
    }

    var raw: Member
    var library: Member

    init(_ record: WireRecord) {
        raw = Member(sids: record.rawClient, extraRoom: "solo")
        library = Member(sids: record.libraryClient, extraRoom: "ponly")
    }

    /// Applies a message that changes rooms; returns the packets that the raw client gets.
    mutating func apply(_ message: PubSubMessage) -> [WireRecord.Frame] {
        switch message {
        case .enterRoom(let sid, let room, let namespace):
            if raw.sids[namespace] == sid { raw.rooms[namespace]?.insert(room) }
            if library.sids[namespace] == sid { library.rooms[namespace]?.insert(room) }
        case .leaveRoom(let sid, let room, let namespace):
            if raw.sids[namespace] == sid { raw.rooms[namespace]?.remove(room) }
            if library.sids[namespace] == sid { library.rooms[namespace]?.remove(room) }
        case .closeRoom(let room, let namespace):
            raw.rooms[namespace]?.remove(room)
            library.rooms[namespace]?.remove(room)
        case .disconnect(let sid, let namespace) where raw.sids[namespace] == sid:
            raw.rooms[namespace] = nil
            return [.text(namespace == "/" ? "41" : "41\(namespace),")]
        case .disconnect, .callback, .canary, .keptRequest, .keptStored, .ignored, .emit, .emitForNobody: break
        }
        return []
    }
}
