import Bytes
import JSONCodec
import PubSubMessages

/// Decides by the operator's rules how packets are treated that have to wait for slow clients. Lives on the router's event loop.
final class WaitTreatments {
    private let rules: RoomRules
    private let keepsOrder: Bool
    private let hash = KeyedHash.ofThisProcess
    /// Scratch space for events in which a rule's key is looked up.
    private var document = JSONDocument()

    /// Nil if no rule has a policy of its own for slow clients.
    init?(_ rules: RoomRules, keepsOrder: Bool) {
        guard rules.hasSlowPolicies else { return nil }
        self.rules = rules
        self.keepsOrder = keepsOrder
    }

    /// The treatment of an event's packet. If the rooms of a message have different policies, the one that loses least holds:
    /// the packet is the same for all of them. An event that asks for acks is never dropped.
    func treatment(of event: EncodedEvent, _ emit: PubSubMessage.Emit) -> WaitTreatment {
        guard emit.callback == nil else { return .disconnect }
        return treatment(of: event, namespace: emit.namespace, rooms: emit.rooms, key: emit.key)
    }

    func treatment(
        of event: EncodedEvent, namespace: ByteString, rooms receivers: PubSubMessage.Rooms, key: ByteString?
    ) -> WaitTreatment {
        guard let name = EventContent(event)?.name else { return .disconnect }
        var policy: RoomPolicy?
        // Only rules for all rooms hold for messages to everybody.
        var rooms: [ByteString] = [""]
        if case .these(let names) = receivers { rooms = names }
        for room in rooms {
            let other = rules.policy(namespace: namespace, room: room, event: name)
            if other.slow.index < policy?.slow.index ?? .max { policy = other }
        }
        switch policy?.slow ?? .disconnect {
        case .disconnect: return .disconnect
        case .dropOldest: return .dropOldest
        case .latest:
            // A message whose key is missing must not take another's place.
            guard let key = key ?? self.key(in: event, policy?.slowKey) else { return .disconnect }
            return WaitTreatment(
                policy: .latest, identity: identity([namespace, name, key], in: receivers), keepsOrder: keepsOrder)
        }
    }

    private func identity(_ names: [ByteString], in rooms: PubSubMessage.Rooms) -> UInt64 {
        var state: UInt64 = 0
        func add(_ name: ByteString) {
            let pair = unsafe (state, name.withUnsafeBytes { unsafe hash.hash(of: $0) })
            state = unsafe withUnsafeBytes(of: pair) { unsafe hash.hash(of: $0) }
        }
        names.forEach(add)
        if case .these(let rooms) = rooms { rooms.forEach(add) }
        return state
    }

    /// The key that a rule's JSON pointer finds in the first argument; empty without a pointer, nil if it finds no text.
    private func key(in event: EncodedEvent, _ pointer: JSONPointer?) -> ByteString? {
        guard let pointer else { return "" }
        return pointer.text(inFirstArgumentOf: event, using: &document)
    }
}
