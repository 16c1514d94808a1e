import Bytes

/// One rule: the messages that it is for, and what it says of them.
///
/// ```
/// shop:* event=price key=/sku keep=1h slow=latest
/// ```
struct RoomRule: Sendable {
    /// The decision on whether messages are kept.
    enum Keeping: Sendable, Equatable {
        case no
        case yes(KeepRule)
    }

    var room: GlobPattern
    /// Nil for all events.
    var event: GlobPattern?
    var namespace: GlobPattern
    /// Nil if the rule doesn't mention it.
    var keep: Keeping?
    /// Nil if the rule doesn't mention it.
    var slow: SlowClientPolicy?
    /// Where the rule was written, for messages about it.
    var place: String

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
}

/// What the rules say of one event in one room.
struct RoomPolicy: Sendable, Equatable {
    /// Nil if its messages aren't kept.
    var keep: KeepRule?
    var slow = SlowClientPolicy.disconnect
}
