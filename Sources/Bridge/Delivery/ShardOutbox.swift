import Bytes
import NIOCore
import PubSubMessages

/// Collects the commands for the event loops from the messages of one read, in the order of the messages.
///
/// Each of the other loops gets one task per read; the shard on this loop carries out its commands at once. Consecutive events
/// for the same rooms are joined into one packet.
final class ShardOutbox {
    private var shards: [NIOLoopBound<Shard>] = []
    private var localShard: Shard?
    /// The index of `localShard`; -1 without one.
    private var localLoop = -1
    // Exclusivity is unchecked for `batches` and `pendingPacket` as in `PubSubMessageDecoder`.
    /// Commands for the other loops.
    @exclusivity(unchecked) private var batches: [[ShardCommand]]
    private var scratch = JSONWriter(capacity: 256)
    /// Consecutive events of one read for the same rooms, joined so that each client gets one write. Nil while nothing waits.
    @exclusivity(unchecked) private var pendingPacket: PacketBuilder?
    private var pendingTreatment = WaitTreatment.disconnect
    private var pendingNamespace: ByteString = ""
    private var pendingRooms = PubSubMessage.Rooms.everyone
    private var pendingIsLocal = false
    /// The other loops that get it.
    private var pendingOthers: [Int] = []
    private let joinLimitBytes: Int
    /// Nil if every packet is treated alike.
    private let treatments: WaitTreatments?
    /// Nil without recovery.
    private let recovery: RouterRecovery?
    /// The position of the first event in the pending packet.
    private var pendingOffset = RecoveryOffset.none

    init(
        loopCount: Int, joinLimitBytes: Int, rules: RoomRules = RoomRules(), recovery: RouterRecovery? = nil
    ) {
        treatments = WaitTreatments(rules, keepsOrder: recovery != nil)
        self.recovery = recovery
        unsafe batches = Array(repeating: [], count: loopCount)
        self.joinLimitBytes = joinLimitBytes
    }

    func start(shards: [NIOLoopBound<Shard>], local: (shard: Shard, loop: Int)?) {
        self.shards = shards
        guard let local else { return }
        localShard = local.shard
        localLoop = local.loop
    }

    func append(_ command: ShardCommand, loop: Int) {
        flushPending()
        if let recovery { send(.position(recovery.log.last), to: loop) }
        send(command, to: loop)
    }

    private func send(_ command: ShardCommand, to loop: Int) {
        if loop == localLoop {
            localShard?.perform(command)
        } else {
            unsafe batches[loop].append(command)
        }
    }

    func appendToAll(_ command: ShardCommand) {
        for loop in unsafe batches.indices { append(command, loop: loop) }
    }

    /// True if an emit can join the pending packet.
    func canJoin(_ emit: PubSubMessage.Emit) -> Bool {
        guard let byteCount = unsafe pendingPacket?.byteCount, byteCount < joinLimitBytes else { return false }
        return emit.callback == nil && emit.skip.isEmpty && emit.rooms == pendingRooms
            && emit.namespace == pendingNamespace
    }

    /// Adds the event of an emit that can join the pending packet, or lets it begin another if the two are treated differently
    /// or can be replaced by newer ones.
    func join(_ event: EncodedEvent, of emit: PubSubMessage.Emit) {
        if let treatments {
            let treatment = treatments.treatment(of: event, emit)
            if treatment != pendingTreatment || treatment.isLatest {
                flushPending()
                beginPacket(event, of: emit, treatment)
                return
            }
        }
        unsafe pendingPacket?.append(
            event, namespace: emit.namespace, offset: recovery?.nextInPacket(), scratch: &scratch)
    }

    private func beginPacket(_ event: EncodedEvent, of emit: PubSubMessage.Emit, _ treatment: WaitTreatment) {
        let offset = recovery?.next()
        pendingOffset = offset ?? .none
        pendingTreatment = treatment
        unsafe pendingPacket = PacketBuilder(event, namespace: emit.namespace, offset: offset, scratch: &scratch)
    }

    /// Delivers an event. One packet for all waits for more events of the same rooms; an event that asks for acks doesn't.
    ///
    /// - Parameter isLocal: this loop gets it.
    func deliver(_ event: EncodedEvent, of emit: PubSubMessage.Emit, isLocal: Bool, others: [Int]) {
        flushPending()
        if emit.callback == nil, emit.skip.isEmpty {
            pendingNamespace = emit.namespace
            pendingRooms = emit.rooms
            pendingIsLocal = isLocal
            pendingOthers = others
            beginPacket(event, of: emit, treatments?.treatment(of: event, emit) ?? .disconnect)
            return
        }
        let delivery =
            if let address = emit.callback {
                Delivery(
                    namespace: emit.namespace, rooms: emit.rooms, skip: emit.skip,
                    content: .expectingAck(EventBody(event), address))
            } else {
                self.delivery(of: event, emit)
            }
        deliver(delivery, isLocal: isLocal, others: others)
    }

    /// The delivery of one event, the same packet for everybody.
    func delivery(of event: EncodedEvent, _ emit: PubSubMessage.Emit) -> Delivery {
        flushPending()
        let offset = recovery?.next()
        let packet = PacketBuilder(event, namespace: emit.namespace, offset: offset, scratch: &scratch)
            .build(treatments?.treatment(of: event, emit) ?? .disconnect)
        var delivery = Delivery(
            namespace: emit.namespace, rooms: emit.rooms, skip: emit.skip, content: .packet(packet))
        if let offset {
            delivery.offset = offset
            recovery?.log(delivery, packet, from: offset)
        }
        return delivery
    }

    /// Hands everything collected to the loops, at the end of a read.
    func flush() {
        flushPending(isLast: true)
        for loop in unsafe batches.indices where unsafe !batches[loop].isEmpty {
            let commands = unsafe batches[loop]
            unsafe batches[loop].removeAll(keepingCapacity: true)
            let shard = shards[loop]
            shard.eventLoop.execute { shard.value.perform(commands) }
        }
        localShard?.flush()
    }

    /// Hands the pending packet to its loops.
    ///
    /// - Parameter isLast: nothing follows in this read.
    func flushPending(isLast: Bool = false) {
        guard let builder = unsafe pendingPacket.take() else { return }
        let packet = builder.build(pendingTreatment)
        var delivery = Delivery(
            namespace: pendingNamespace, rooms: pendingRooms, skip: [], content: .packet(packet))
        if let recovery {
            delivery.offset = recovery.log.last
            recovery.log(delivery, packet, from: pendingOffset)
        }
        deliver(delivery, isLocal: pendingIsLocal, others: pendingOthers, isLast: isLast)
    }

    private func deliver(_ delivery: Delivery, isLocal: Bool, others: [Int], isLast: Bool = false) {
        for loop in others { unsafe batches[loop].append(.deliver(delivery)) }
        if isLocal { localShard?.deliver(delivery, isLast: isLast) }
    }
}
