import Bytes
import JSONCodec

/// A checked `join` or `leave` of a client: one argument, `{"room": text, "secret": text, "gap": bool}`.
struct JoinRequest: Equatable {
    let room: ByteString
    let secret: ByteString?
    /// `"gap": true` asks for the event `ws-emit:gap` after an outage.
    let wantsGaps: Bool

    /// The reason for a refusal, worded for the author of the page. It reveals nothing about secrets or other clients.
    enum Refusal: String, Error {
        case arguments = #"expected one argument like {"room": "name"}"#
        case room = "room must be a text"
        case roomTooLong = "the room's name is too long"
        case tooManyRooms = "this client is in too many rooms already"
        case tooManyPendingJoins = "too many joins of this client wait for Redis, try again"
        case ownedRoom = "a room named after a client's sid belongs to that client"
        case notAllowed = "this room can't be left"
        case secretMissing = "this room-space needs a secret"
        case secretWrong = "the secret doesn't open this room-space"
        case secretUnavailable = "the secret can't be checked now, try again"
        case leftMeanwhile = "the client left the room before this join was done"
        case closedMeanwhile = "the room was closed before this join was done, try again"
        case disconnectedMeanwhile = "the client was disconnected before this join was done"
    }

    init(arguments document: borrowing JSONDocument, maxNameBytes: Int) throws(Refusal) {
        let arguments = Array(document.elements(of: document.root).dropFirst())
        guard arguments.count == 1, document.kind(of: arguments[0]) == .object,
            let room = document.value(forKey: "room", in: arguments[0])
        else { throw .arguments }
        guard let name = document.byteString(room) else { throw .room }
        guard name.count <= maxNameBytes else { throw .roomTooLong }
        self.room = name
        secret = document.value(forKey: "secret", in: arguments[0]).flatMap { document.byteString($0) }
        wantsGaps = document.value(forKey: "gap", in: arguments[0]).flatMap { document.bool($0) } ?? false
    }

    /// The part before the first `::`, nil for a public room.
    var roomSpace: ByteString? { Self.roomSpace(of: room) }

    static func roomSpace(of room: ByteString) -> ByteString? {
        let bytes = room.bytes
        let colon = UInt8(ascii: ":")
        for index in bytes.indices.dropLast() where bytes[index] == colon && bytes[index + 1] == colon {
            return ByteString(bytes: bytes[..<index])
        }
        return nil
    }
}

/// The Redis keys that may hold the secret of a room-space: the documented one, then the one of later originals.
package enum RoomSecretKey {
    package static func keys(of roomSpace: ByteString) -> [[UInt8]] {
        ["ws-emit::room_secret::", "ws-emit::secret::"].map { Array($0.utf8) + roomSpace.bytes }
    }
}
