import JSONCodec
import Logging
import NIOCore
import PubSubMessages
import RedisPubSub

/// Turns what Redis brings into work for the event loops. Lives on the loop that reads Redis.
///
///     payload ─▶ decode ─▶ who has such a room? ─▶ write the packet once ─▶ one task per loop and read
final class Router: PubSubDelegate {
    let eventLoop: any EventLoop
    let loopCount: Int
    let broker: any PubSubBroker
    let configuration: BridgeConfiguration
    let hostID: ByteString
    let decoder: PubSubMessageDecoder
    let logger: Logger
    let readiness: Readiness
    let metrics: BridgeMetrics
    var canary: Canary
    var gaps: SubscriptionGaps
    /// The gap that ended last waits for its explanation, and pages have not been told of it yet.
    var gapIsUnexplained = false
    var gapIsUntold = false
    var gapTimer: Scheduled<Void>?
    // Unchecked, as below: these are touched for each message, by methods of this class that don't call back while they do.
    @exclusivity(unchecked) private(set) var senders: SenderTable
    private var refusals: RefusalLog
    @exclusivity(unchecked) private(set) var shards: [NIOLoopBound<Shard>] = []
    @exclusivity(unchecked) private(set) var localShard: Shard?
    /// The place of `localShard` among the shards.
    @exclusivity(unchecked) private var localLoop = 0
    var canaryTimer: RepeatedTask?
    @exclusivity(unchecked) private var interest: RoomInterest
    @exclusivity(unchecked) private var batches: [[ShardCommand]]
    @exclusivity(unchecked) private var open: OpenDelivery?
    @exclusivity(unchecked) var scratch = JSONWriter(capacity: 256)
    /// What HTTP emits of this turn of the event loop publish.
    @exclusivity(unchecked) private var outgoing: RedisPublishBatch?
    private var hasWarnedOfPublishing = false
    @exclusivity(unchecked) var counters = RouterCounters()

    init(
        broker: any PubSubBroker, configuration: BridgeConfiguration, hostID: ByteString, loopCount: Int,
        readiness: Readiness, metrics: BridgeMetrics, logger: Logger
    ) {
        self.broker = broker
        self.configuration = configuration
        self.hostID = hostID
        self.loopCount = loopCount
        self.logger = logger
        eventLoop = broker.eventLoop
        var limits = PubSubMessageLimits()
        limits.maximumPayloadBytes = configuration.maxMessageBytes
        limits.maximumSenders = configuration.maxSenders
        decoder = PubSubMessageDecoder(hostID: hostID, limits: limits)
        decoder.listReading = configuration.listReading
        refusals = RefusalLog(logger: logger)
        self.readiness = readiness
        self.metrics = metrics
        canary = Canary(loopCount: loopCount)
        gaps = SubscriptionGaps(capacity: configuration.maxGaps)
        senders = SenderTable(capacity: configuration.maxSenders, now: broker.eventLoop.now)
        interest = RoomInterest(loopCount: loopCount)
        batches = Array(repeating: [], count: loopCount)
    }

    func start(shards: [NIOLoopBound<Shard>]) {
        self.shards = shards
        if let index = shards.firstIndex(where: { $0.eventLoop === eventLoop }) {
            localLoop = index
            localShard = shards[index].value
        }
        broker.start(delegate: self)
        startCanaries()
    }

    func shutdown() -> EventLoopFuture<Void> {
        canaryTimer?.cancel()
        gapTimer?.cancel()
        return broker.shutdown()
    }

    // MARK: PubSubDelegate

    func received(_ payload: UnsafeRawBufferPointer, on redisChannel: UnsafeRawBufferPointer) {
        counters.messagesReceived += 1
        do throws(PubSubMessageError) {
            let message = try decoder.decode(payload)
            note(message, payload.count, redisChannel)
            if !decoder.complaints.isEmpty {
                counters.messagesMended += 1
                senders.noteMended(decoder.senderHostID, decoder.complaints)
                refusals.log(decoder.complaints, of: decoder.senderHostID, redisChannel: redisChannel)
            }
            try route(message)
        } catch {
            counters.messagesRefused += 1
            counters.drops[DropReason(error)] += 1
            senders.noteRefusal(error.hostID, "\(error)", byteCount: payload.count)
            refusals.log(error, redisChannel: redisChannel)
        }
    }

    /// Accounts for a message that could be read.
    private func note(_ message: PubSubMessage, _ byteCount: Int, _ redisChannel: UnsafeRawBufferPointer) {
        let isNew: Bool
        switch message {
        case .canary, .ignored(.ownMessage), .ignored(.canaryOfAnotherHost): return
        case .emit(let emit):
            counters.count(emit.dialect)
            isNew = senders.note(emit.hostID, dialect: emit.dialect, byteCount: byteCount)
        default: isNew = senders.note(decoder.senderHostID, dialect: nil, byteCount: byteCount)
        }
        if isNew { logNewSender(message, redisChannel) }
        if byteCount > configuration.maxMessageBytes / 4 { noteLarge(byteCount) }
    }

    func receivedBatch() {
        closeDelivery()
        for loop in batches.indices where !batches[loop].isEmpty {
            let commands = batches[loop]
            batches[loop].removeAll(keepingCapacity: true)
            let shard = shards[loop]
            if loop == localLoop {
                localShard?.perform(commands)
            } else {
                shard.eventLoop.execute { shard.value.perform(commands) }
            }
        }
    }

    func subscriptionChanged(_ state: SubscriptionState) {
        counters.subscriptionChanges += 1
        switch state {
        case .subscribed:
            hasWarnedOfPublishing = false
            subscriptionIsUp()
        case .lost(let cause, let since): subscriptionWasLost(cause, since: since)
        }
    }

    func subscriptionLossExplained(_ loss: SubscriptionLoss) { gapIsExplained(loss.cause) }

    // MARK: Routing

    private func route(_ message: PubSubMessage) throws(PubSubMessageError) {
        switch message {
        case .emit(let emit): try route(emit)
        case .disconnect(let sid, let namespace):
            send(.disconnect(sid: sid, namespace: namespace), toOwnerOf: sid)
        case .enterRoom(let sid, let room, let namespace):
            guard let loop = SessionID.loop(of: sid, loopCount: loopCount) else {
                counters.drops[.unknownSid] += 1
                return
            }
            if loop != localLoop {
                interest.add(1, namespace: namespace, room: room, loop: loop)
            }
            append(.enterRoom(sid: sid, room: room, namespace: namespace), loop: loop)
        case .leaveRoom(let sid, let room, let namespace):
            send(.leaveRoom(sid: sid, room: room, namespace: namespace), toOwnerOf: sid)
        case .closeRoom(let room, let namespace):
            for loop in 0..<loopCount where isAnyone(in: .these([room]), of: namespace, loop: loop) {
                append(.closeRoom(room: room, namespace: namespace), loop: loop)
            }
        case .canary(let id): canaryArrived(id)
        case .callback: counters.messagesIgnored += 1
        case .ignored(let reason):
            counters.messagesIgnored += 1
            if let reason = DropReason(reason) { counters.drops[reason] += 1 }
        }
    }

    private func route(_ emit: PubSubMessage.Emit) throws(PubSubMessageError) {
        if let open, open.takes(emit, limitBytes: configuration.maxJoinedBytes) {
            let body = try decoder.encodeEvent()
            open.packet.append(body, namespace: emit.namespace, scratch: &scratch)
            counters.messagesDelivered += 1
            return
        }
        guard let first = firstLoop(of: emit) else {
            counters.messagesForNobody += 1
            counters.drops[isNamespaceKnown(emit.namespace) ? .nobodyInRoom : .noSuchNamespace] += 1
            return
        }
        if gapIsUntold { tellOfGap() }
        var loops = [first]
        for loop in (first + 1)..<max(first + 1, loopCount)
        where isAnyone(in: emit.rooms, of: emit.namespace, loop: loop) { loops.append(loop) }
        // Only now is the message's data looked at.
        let body = try decoder.encodeEvent()
        counters.messagesDelivered += 1
        if emit.callback == nil, emit.skip.isEmpty {
            closeDelivery()
            let packet = PacketBuilder(body, namespace: emit.namespace, scratch: &scratch)
            open = OpenDelivery(namespace: emit.namespace, rooms: emit.rooms, loops: loops, packet: packet)
            return
        }
        let content: Delivery.Content =
            if let address = emit.callback {
                .expectingAck(body, address)
            } else {
                .packet(PacketBuilder(body, namespace: emit.namespace, scratch: &scratch).build())
            }
        for loop in loops {
            append(
                .deliver(Delivery(namespace: emit.namespace, rooms: emit.rooms, skip: emit.skip, content: content)),
                loop: loop)
        }
    }

    /// Most messages have none, and take no memory.
    private func firstLoop(of emit: PubSubMessage.Emit) -> Int? {
        for loop in 0..<loopCount where isAnyone(in: emit.rooms, of: emit.namespace, loop: loop) { return loop }
        return nil
    }

    var refusalsForgotten: Int { refusals.forgotten }

    func tickSenders(at now: NIODeadline) { senders.tick(at: now) }

    func isNamespaceKnown(_ namespace: ByteString) -> Bool {
        shards.indices.contains { isAnyone(in: .everyone, of: namespace, loop: $0) }
    }

    func isAnyone(in rooms: PubSubMessage.Rooms, of namespace: ByteString, loop: Int) -> Bool {
        if loop == localLoop {
            guard let registry = localShard?.registry, let local = registry.namespace(named: namespace) else {
                return false
            }
            switch rooms {
            case .everyone: return true
            case .these(let names): return registry.isAnyone(in: names, of: local)
            }
        }
        guard interest.isInterested(loop: loop, namespace: namespace, room: nil) else { return false }
        switch rooms {
        case .everyone: return true
        case .these(let names):
            return names.contains {
                SessionID.loop(of: $0, loopCount: loopCount) == loop
                    || interest.isInterested(loop: loop, namespace: namespace, room: $0)
            }
        }
    }

    private func send(_ command: ShardCommand, toOwnerOf sid: ByteString) {
        guard let loop = SessionID.loop(of: sid, loopCount: loopCount) else {
            counters.drops[.unknownSid] += 1
            return
        }
        append(command, loop: loop)
    }

    func append(_ command: ShardCommand, loop: Int) {
        closeDelivery()
        batches[loop].append(command)
    }

    /// Hands what was collected for the same rooms to their loops.
    private func closeDelivery() {
        guard let delivery = open else { return }
        open = nil
        let content = Delivery.Content.packet(delivery.packet.build())
        for loop in delivery.loops {
            batches[loop].append(
                .deliver(Delivery(namespace: delivery.namespace, rooms: delivery.rooms, skip: [], content: content)))
        }
    }

    func roomChanged(_ amount: Int, namespace: ByteString, room: ByteString?, loop: Int) {
        interest.add(amount, namespace: namespace, room: room, loop: loop)
    }

    /// Takes back what was added when the `enter_room` was passed on.
    func enterPerformed(namespace: ByteString, room: ByteString, loop: Int) {
        if loop != localLoop {
            interest.add(-1, namespace: namespace, room: room, loop: loop)
        }
    }

    /// Whether a client of any loop has this sid.
    func hasSocket(_ sid: ByteString, in namespace: ByteString, loop: Int) -> EventLoopFuture<Bool> {
        let shard = shards[loop]
        return shard.eventLoop.submit { shard.value.registry.namespaces[namespace]?.sockets[sid] != nil }
    }

    // MARK: Outgoing

    /// Delivers an HTTP emit here and publishes it for the other servers on the channel, both at the end of this turn of the
    /// event loop: emits that came together leave in one write to each client and one to Redis.
    ///
    /// - Parameter payload: the message as it goes to Redis; our clients get it by the same way as any other.
    func emit(_ payload: [UInt8]) throws {
        counters.httpMessages += 1
        try payload.withUnsafeBytes { try route(try decoder.decode($0, includingOwn: true)) }
        let batch = outgoing ?? beginOutgoing()
        guard var channel = configuration.redisChannels.first else { return }
        let message = inPublishForm(payload)
        channel.withUTF8 { channel in
            message.withUnsafeBytes { batch.append($0, to: UnsafeRawBufferPointer(channel)) }
        }
        if batch.byteCount >= Self.outgoingBytes { finishEmits() }
    }

    /// Commands for Redis that are worth a write of their own.
    private static let outgoingBytes = 256 << 10

    private func beginOutgoing() -> RedisPublishBatch {
        let batch = RedisPublishBatch()
        outgoing = batch
        eventLoop.assumeIsolated().execute { self.finishEmits() }
        return batch
    }

    /// Sends what `emit` has collected.
    func finishEmits() {
        receivedBatch()
        guard let batch = outgoing else { return }
        outgoing = nil
        broker.publish(batch).assumeIsolated().whenFailure { error in
            self.noteUnpublished(batch.failureCount, error)
        }
    }

    /// An emit of ours as the other servers read it. A list means one thing up to 5.15.0 and another from 5.15.1 on: as long
    /// as only older ones have been seen here it is written for them.
    func inPublishForm(_ payload: [UInt8]) -> [UInt8] {
        let form = configuration.publishForm ?? (senders.areAllBefore5_15_1 ? .bareJSON : .json)
        return PubSubMessageEncoder.emit(payload, as: form)
    }

    func publishAnswer(to address: CallbackAddress, json: [UInt8], attachments: [[UInt8]]) {
        do {
            publish(try PubSubMessageEncoder.callback(to: address, arguments: json, attachments: attachments))
        } catch {
            logger.warning("a client's answer can't be published", metadata: ["cause": "\(error)"])
        }
    }

    /// Publishes on the first channel; a failure is counted and, once per outage, logged.
    @discardableResult
    func publish(_ payload: [UInt8]) -> EventLoopFuture<Int> {
        guard let channel = configuration.redisChannels.first else { return eventLoop.makeSucceededFuture(0) }
        let published = broker.publish(ByteBuffer(bytes: payload), to: channel)
        published.assumeIsolated().whenFailure { error in self.noteUnpublished(1, error) }
        return published
    }

    private func noteUnpublished(_ messageCount: Int, _ error: any Error) {
        counters.publishFailures += messageCount
        if hasWarnedOfPublishing { return }
        hasWarnedOfPublishing = true
        logger.warning(
            "not published: other servers on the channel miss this message and, until Redis is back, others",
            metadata: ["cause": "\(error)"])
    }

    /// The secrets that open a room-space; none when there is no such key.
    func roomSecrets(of space: ByteString) -> EventLoopFuture<[ByteBuffer]> {
        let values = JoinRequest.secretKeys(of: space).map { broker.get($0) }
        return EventLoopFuture.whenAllSucceed(values, on: eventLoop).map { $0.compactMap { $0 } }
    }
}

/// Events of one read for the same rooms, one behind the other, so that each client gets one write.
private final class OpenDelivery {
    let namespace: ByteString
    let rooms: PubSubMessage.Rooms
    let loops: [Int]
    var packet: PacketBuilder

    init(namespace: ByteString, rooms: PubSubMessage.Rooms, loops: [Int], packet: PacketBuilder) {
        self.namespace = namespace
        self.rooms = rooms
        self.loops = loops
        self.packet = packet
    }

    func takes(_ emit: PubSubMessage.Emit, limitBytes: Int) -> Bool {
        emit.callback == nil && emit.skip.isEmpty && emit.rooms == rooms && emit.namespace == namespace
            && packet.byteCount < limitBytes
    }
}
