import Bytes

/// One rule: the messages that it is for, and its decisions on them.
///
/// ```
/// shop:* event=price key=/sku keep=1h slow=latest
/// ```
///
/// A class, because a message is compared with each rule, and copies of a structure would retain all its arrays each time.
final class RoomRule: Sendable {
    /// The decision on whether messages are kept.
    enum Keeping: Sendable, Equatable {
        case no
        case yes(KeepRule)
    }

    let room: GlobPattern
    /// Nil for all events.
    let event: GlobPattern?
    let namespace: GlobPattern
    /// Nil if the rule doesn't mention it.
    let keep: Keeping?
    /// Nil if the rule doesn't mention it.
    let slow: SlowClientPolicy?
    /// Where in an event's first argument the key is; nil if all messages of an event have the same key.
    let key: JSONPointer?
    /// Where the rule was written, for messages about it.
    let place: String

    init(
        room: GlobPattern, event: GlobPattern?, namespace: GlobPattern, keep: Keeping?, slow: SlowClientPolicy?,
        key: JSONPointer?, place: String
    ) {
        (self.room, self.event, self.namespace) = (room, event, namespace)
        (self.keep, self.slow, self.key, self.place) = (keep, slow, key, place)
    }

    /// True if it is for some or all events of the room.
    func isFor(namespace: ByteString, room: UnsafeRawBufferPointer) -> Bool {
        unsafe self.room.matches(room)
            && namespace.withUnsafeBytes { unsafe self.namespace.matches($0) }
    }

    func isFor(event name: ByteString) -> Bool {
        guard let event else { return true }
        return unsafe name.withUnsafeBytes { unsafe event.matches($0) }
    }

    /// True if it is for all events.
    var isForAllEvents: Bool { event?.matchesEverything ?? true }

    /// True if it is for all messages of its namespaces.
    var isForAllMessages: Bool { room.matchesEverything && isForAllEvents }

    /// True if it is certainly for all messages that the other rule is for.
    func covers(_ other: RoomRule) -> Bool {
        (room == other.room || room.matchesEverything)
            && (event == other.event || isForAllEvents)
            && (namespace == other.namespace || namespace.matchesEverything)
    }
}

/// How the messages of a room are kept.
struct KeepRule: Sendable, Equatable {
    /// A message is forgotten after this time.
    var age: Duration
    /// Where in an event's first argument the key is; nil if all messages of an event have the same key.
    var key: JSONPointer?
    /// Kept messages of one room.
    var maxValues: Int
    /// Their bytes.
    var maxBytes: Int
    /// The rule is for all rooms, so it leaves out those named after clients.
    var leavesOutSids = false
}

/// The decision of the rules on one event in one room.
struct RoomPolicy: Sendable, Equatable {
    /// Nil if its messages aren't kept.
    var keep: KeepRule?
    var slow = SlowClientPolicy.disconnect
    /// The place of the key for policy `latest`: that of the rule which decides on slow clients, or else of the one that keeps.
    var slowKey: JSONPointer?
}
