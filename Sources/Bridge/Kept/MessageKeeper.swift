import Bytes
import JSONCodec
import Logging
import NIOCore
import PubSubMessages
import RedisPubSub

/// Decides which messages are kept, by the operator's rules and the message's own word. Lives on the router's event loop.
final class MessageKeeper {
    let store: KeptMessages
    /// Told of changes.
    var storage: KeptStorage?
    private let configuration: BridgeConfiguration
    private let logger: Logger
    private let eventLoop: any EventLoop
    private var warnings = RepeatLimit()
    private var scratch = JSONWriter(capacity: 256)
    /// Scratch space for events in which a rule's key is looked up.
    private var document = JSONDocument()
    /// For clients that join and read slowly.
    private let treatments: WaitTreatments?
    /// Some rule keeps messages.
    let keepsByRule: Bool
    /// False with `--keep-bytes 0`.
    private let isOn: Bool

    init(configuration: BridgeConfiguration, eventLoop: any EventLoop, logger: Logger) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        treatments = WaitTreatments(configuration.rules, keepsOrder: configuration.recovery != nil)
        store = KeptMessages(
            limitBytes: configuration.keepBytes, offset: RouterRecovery.offsetOfKept(configuration))
        isOn = configuration.keepBytes > 0
        keepsByRule = isOn && configuration.rules.keepsAny
    }

    /// True if a rule may keep a message for the room, whatever its event is.
    func mayKeep(_ room: UnsafeRawBufferPointer, of namespace: ByteString) -> Bool {
        unsafe keepsByRule && configuration.rules.mayKeep(namespace: namespace, room: room)
    }

    func mayKeepByRule(_ room: ByteString, of namespace: ByteString) -> Bool {
        unsafe room.withUnsafeBytes { unsafe mayKeep($0, of: namespace) }
    }

    /// True if the event of an emit must be written even if nobody is there to get it.
    func mayKeep(_ emit: PubSubMessage.Emit) -> Bool {
        guard isOn, keepsByRule || emit.keep != nil, case .these(let rooms) = emit.rooms else { return false }
        if let keep = emit.keep { return keep != .no }
        return rooms.contains { unsafe $0.withUnsafeBytes { unsafe mayKeep($0, of: emit.namespace) } }
    }

    /// Keeps the event of an emit in those of its rooms for which a rule or the message asks it.
    ///
    /// - Returns: the number of rooms that keep it.
    @discardableResult
    func keep(_ event: EncodedEvent, of emit: PubSubMessage.Emit) -> Int {
        guard case .these(let rooms) = emit.rooms, let content = EventContent(event) else { return 0 }
        var count = 0
        let now = WallClock.now()
        var packet: EncodedPacket?
        for room in rooms.prefix(BridgeLimits.keptRoomsOfMessage) where !Self.reservedNames.contains(content.name) {
            let rule = configuration.rules.policy(namespace: emit.namespace, room: room, event: content.name).keep
            guard let age = age(emit.keep, rule) else { continue }
            // A message to one client; nobody else should ever get it.
            if emit.keep == nil, rule?.leavesOutSids == true, SessionID.looksLikeOne(room) { continue }
            guard content.hasData else {
                forget(content.name, key: emit.key, room: room, rule: rule, namespace: emit.namespace)
                continue
            }
            guard let key = emit.key ?? key(in: event, named: content.name, rule, room: room) else { continue }
            let shared =
                packet
                ?? PacketBuilder(event, namespace: emit.namespace, scratch: &scratch)
                .build(treatments?.treatment(of: event, emit) ?? .disconnect)
            packet = shared
            let slot = KeptMessages.Slot(namespace: emit.namespace, room: room, event: content.name, key: key)
            let value = KeptMessages.Value(packet: shared, stamp: store.stamp(at: now), expires: now + age)
            let limits = KeptMessages.RoomLimits(
                bytes: rule?.maxBytes ?? configuration.keepRoomBytes,
                values: rule?.maxValues ?? configuration.keepRoomValues)
            let evicted = store.counters.evicted
            if store.keep(value, in: slot, limits: limits) {
                count += 1
                if store.counters.evicted > evicted { warnEvicted(room) }
            } else {
                warnTooLarge(slot, shared.byteCount, limits)
            }
        }
        storage?.changed()
        return count
    }

    /// Clients end the connection when an event has one of these names.
    private static let reservedNames: Set<ByteString> = [
        "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
    ]

    /// A message without data forgets the value with its key. Without a key, where a rule takes the key from the data, it
    /// forgets all values of its event.
    private func forget(
        _ event: ByteString, key: ByteString?, room: ByteString, rule: KeepRule?, namespace: ByteString
    ) {
        if key == nil, rule?.key != nil {
            store.forget(event: event, namespace: namespace, room: room)
        } else {
            store.forget(.init(namespace: namespace, room: room, event: event, key: key ?? ""))
        }
    }

    /// The time to keep a message, in milliseconds; nil if it isn't kept. The message decides over the rule.
    private func age(_ word: KeepRequest?, _ rule: KeepRule?) -> Int64? {
        switch word {
        case .no: nil
        case .forSeconds(let seconds): max(1, Int64(seconds * 1000))
        case .yes: Self.milliseconds(rule?.age ?? configuration.keepAge)
        case nil: rule.map { Self.milliseconds($0.age) }
        }
    }

    private static func milliseconds(_ duration: Duration) -> Int64 { TimeAmount(duration).nanoseconds / 1_000_000 }

    /// The key that the rule's JSON pointer finds in the first argument; empty without a pointer, nil if it finds no text.
    private func key(in event: EncodedEvent, named name: ByteString, _ rule: KeepRule?, room: ByteString) -> ByteString?
    {
        guard let pointer = rule?.key else { return "" }
        if let key = pointer.text(inFirstArgumentOf: event, using: &document), key.count <= configuration.maxNameBytes {
            return key
        }
        store.noteMissingKey()
        warn(
            of: "key",
            "a message is not kept: the rule's key \(pointer) is no text of at most \(configuration.maxNameBytes) bytes in it",
            room: room, event: name)
        return nil
    }

    private func warnTooLarge(_ slot: KeptMessages.Slot, _ byteCount: Int, _ limits: KeptMessages.RoomLimits) {
        warn(
            of: "size",
            "a message is not kept: it takes \(byteCount) bytes, and its room may keep \(limits.bytes): raise bytes= of its rule,"
                + " --keep-room-bytes or --keep-bytes", room: slot.room, event: slot.event)
    }

    private func warnEvicted(_ room: ByteString) {
        // Any room will do: it may be one after the other.
        guard warnings.isDue("evicted", at: eventLoop.now) else { return }
        logger.warning(
            """
            kept messages make room for newer ones, so clients that join miss them: raise --keep-room-values or \
            --keep-room-bytes (in a rule values=, bytes=), or --keep-bytes
            """,
            metadata: ["room": "\(room)", "evicted": "\(store.counters.evicted)"])
    }

    /// Warns of each cause once a minute: it may be one room after the other.
    private func warn(of cause: String, _ sentence: String, room: ByteString, event: ByteString) {
        guard warnings.isDue(cause, at: eventLoop.now) else { return }
        logger.warning("\(sentence)", metadata: ["room": "\(room)", "event": "\(event)"])
    }

    // MARK: Reading

    /// The values of a room for a client that joins.
    func packets(namespace: ByteString, room: ByteString) -> [EncodedPacket] {
        store.isEmpty ? [] : store.packets(namespace: namespace, room: room, at: WallClock.now())
    }
}
