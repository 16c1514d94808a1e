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
    /// A message beyond is warned of: a quarter of our limit, and of Redis's own, 32 MiB, where ours is higher.
    private let largeBytes: Int
    /// A message beyond takes memory that is given back.
    private let noteworthyBytes: Int
    var hasLargeScratch = false
    var memoryTimer: RepeatedTask?
    let logger: Logger
    let readiness: Readiness
    let metrics: BridgeMetrics
    var canary: Canary
    var gaps: SubscriptionGaps
    /// The gap that ended last waits for its explanation.
    var gapIsUnexplained = false
    var gapTimer: Scheduled<Void>?
    // Unchecked, as below: these are touched for each message, by methods of this class that don't call back while they do.
    /// Pages have not been told of the gap that ended last.
    @exclusivity(unchecked) var gapIsUntold = false
    @exclusivity(unchecked) private(set) var senders: SenderTable
    private var refusals: RefusalLog
    @exclusivity(unchecked) private(set) var shards: [NIOLoopBound<Shard>] = []
    /// The shard on this loop; what is for it is carried out at once, in the order of the messages.
    @exclusivity(unchecked) private(set) var localShard: Shard?
    @exclusivity(unchecked) private var localRooms: RoomRegistry?
    /// Its place among the shards.
    @exclusivity(unchecked) private var localLoop = -1
    var canaryTimer: RepeatedTask?
    @exclusivity(unchecked) private var interest: RoomInterest
    /// What is for the other loops: one task each at the end of a read.
    @exclusivity(unchecked) private var batches: [[ShardCommand]]
    private let open = OpenDelivery()
    @exclusivity(unchecked) var scratch = JSONWriter(capacity: 256)
    /// What HTTP emits of this turn of the event loop publish.
    @exclusivity(unchecked) private var outgoing: RedisPublishBatch?
    @exclusivity(unchecked) private var echoes = EmitEchoes()
    private var publishingLog = RepeatLimit()
    /// How the server has refused the last message.
    var refusal: RedisError?
    var secretsLog = RepeatLimit()
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
        largeBytes = min(configuration.maxMessageBytes, 32 << 20) / 4
        noteworthyBytes = min(largeBytes, Self.keptScratchBytes)
        decoder = PubSubMessageDecoder(
            hostID: hostID, limits: limits, usesFastLane: configuration.usesFastLane)
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
            localRooms = localShard?.registry
        }
        broker.start(delegate: self)
        startCanaries()
        startGivingMemoryBack()
    }

    func shutdown() -> EventLoopFuture<Void> {
        canaryTimer?.cancel()
        memoryTimer?.cancel()
        gapTimer?.cancel()
        return broker.shutdown()
    }

    // MARK: PubSubDelegate

    func received(_ payload: UnsafeRawBufferPointer, on redisChannel: UnsafeRawBufferPointer) {
        counters.messagesReceived += 1
        var isNoted = false
        // Whether somebody on this loop is in the room, if the decoder has asked.
        var isLocal = false
        do throws(PubSubMessageError) {
            if !echoes.isEmpty, echoes.take(payload) { return try route(.ignored(.ownMessage)) }
            let message = try decoder.decode(payload) { mayReach($0, of: $1, isLocal: &isLocal) }
            note(message, payload.count, redisChannel)
            isNoted = true
            try route(message, isLocal: isLocal)
            if !decoder.complaints.isEmpty {
                counters.messagesMended += 1
                senders.noteMended(decoder.senderHostID, decoder.complaints)
                if decoder.complaints.contains(.manyAttachments) { counters.messagesManyAttachments += 1 }
                refusals.log(
                    decoder.complaints, of: decoder.senderHostID, redisChannel: redisChannel,
                    attachmentCount: decoder.attachmentCount)
            }
        } catch {
            counters.messagesRefused += 1
            if payload.count > noteworthyBytes { hasLargeScratch = true }
            counters.drops[DropReason(error)] += 1
            senders.noteRefusal(error.hostID, "\(error)", byteCount: isNoted ? nil : payload.count)
            refusals.log(error, redisChannel: redisChannel)
        }
    }

    /// Accounts for a message that could be read.
    private func note(_ message: PubSubMessage, _ byteCount: Int, _ redisChannel: UnsafeRawBufferPointer) {
        let news: SenderTable.News?
        switch message {
        case .canary, .ignored(.ownMessage), .ignored(.canaryOfAnotherHost): return
        case .emit(let emit):
            counters.count(emit.dialect)
            news = senders.note(emit.hostID, dialect: emit.dialect, byteCount: byteCount)
        case .emitForNobody(let dialect):
            counters.count(dialect)
            news = senders.note(decoder.senderHostID, dialect: dialect, byteCount: byteCount)
        default: news = senders.note(decoder.senderHostID, dialect: nil, byteCount: byteCount)
        }
        if let news { log(news, message, redisChannel) }
        if byteCount > noteworthyBytes { noteLarge(byteCount) }
    }

    private func noteLarge(_ byteCount: Int) {
        hasLargeScratch = true
        guard byteCount > largeBytes else { return }
        counters.messagesLarge += 1
        refusals.logLarge(byteCount, limit: configuration.maxMessageBytes, of: decoder.senderHostID)
    }

    func receivedBatch() {
        closeDelivery(isLast: true)
        for loop in batches.indices where !batches[loop].isEmpty {
            let commands = batches[loop]
            batches[loop].removeAll(keepingCapacity: true)
            let shard = shards[loop]
            shard.eventLoop.execute { shard.value.perform(commands) }
        }
        localShard?.flush()
    }

    func subscriptionChanged(_ state: SubscriptionState) {
        counters.subscriptionChanges += 1
        switch state {
        case .subscribed:
            publishingLog = RepeatLimit()
            subscriptionIsUp()
        case .lost(let cause, let since):
            echoes.removeAll()
            subscriptionWasLost(cause, since: since)
        }
    }

    func subscriptionLossExplained(_ loss: SubscriptionLoss) { gapIsExplained(loss.cause) }

    func outageChanged(_ outage: RedisOutage?) { readiness.update { $0.outage = outage } }

    // MARK: Routing

    /// - Parameter isLocal: somebody on this loop is known to be in the room.
    private func route(_ message: PubSubMessage, isLocal: Bool = false) throws(PubSubMessageError) {
        switch message {
        case .emit(let emit): try route(emit, isLocal: isLocal)
        case .emitForNobody:
            counters.messagesForNobody += 1
            counters.drops[.nobodyInRoom] += 1
        case .disconnect(let sid, let namespace):
            send(.disconnect(sid: sid, namespace: namespace), toOwnerOf: sid)
        case .enterRoom(let sid, let room, let namespace):
            guard let loop = SessionID.loop(of: sid, loopCount: loopCount) else {
                counters.drops[.unknownSid] += 1
                return
            }
            if loop != localLoop { interest.add(1, namespace: namespace, room: room, loop: loop) }
            append(.enterRoom(sid: sid, room: room, namespace: namespace), loop: loop)
        case .leaveRoom(let sid, let room, let namespace):
            send(.leaveRoom(sid: sid, room: room, namespace: namespace), toOwnerOf: sid)
        case .closeRoom(let room, let namespace):
            // Also to loops without members: a join may be under way there.
            for loop in 0..<loopCount { append(.closeRoom(room: room, namespace: namespace), loop: loop) }
        case .canary(let id): canaryArrived(id)
        case .callback: counters.messagesIgnored += 1
        case .ignored(let reason):
            counters.messagesIgnored += 1
            if let reason = DropReason(reason) { counters.drops[reason] += 1 }
        }
    }

    private func route(_ emit: PubSubMessage.Emit, isLocal: Bool) throws(PubSubMessageError) {
        if open.takes(emit, limitBytes: configuration.maxJoinedBytes) {
            let event = try decoder.encodeEventInPlace()
            open.packet?.append(event, namespace: emit.namespace, scratch: &scratch)
            counters.messagesDelivered += 1
            return
        }
        let isLocal =
            isLocal || localShard != nil && isAnyone(in: emit.rooms, of: emit.namespace, loop: localLoop)
        var others: [Int] = []
        for loop in 0..<loopCount
        where loop != localLoop && isAnyone(in: emit.rooms, of: emit.namespace, loop: loop) { others.append(loop) }
        guard isLocal || !others.isEmpty else {
            counters.messagesForNobody += 1
            counters.drops[isNamespaceKnown(emit.namespace) ? .nobodyInRoom : .noSuchNamespace] += 1
            return
        }
        if gapIsUntold { tellOfGap() }
        // Only now is the message's data looked at.
        let event = try decoder.encodeEventInPlace()
        counters.messagesDelivered += 1
        closeDelivery()
        if emit.callback == nil, emit.skip.isEmpty {
            open.namespace = emit.namespace
            open.rooms = emit.rooms
            open.isLocal = isLocal
            open.others = others
            open.packet = PacketBuilder(event, namespace: emit.namespace, scratch: &scratch)
            return
        }
        let content: Delivery.Content =
            if let address = emit.callback {
                .expectingAck(EventBody(event), address)
            } else {
                .packet(PacketBuilder(event, namespace: emit.namespace, scratch: &scratch).build())
            }
        deliver(
            Delivery(namespace: emit.namespace, rooms: emit.rooms, skip: emit.skip, content: content),
            isLocal: isLocal, others: others)
    }

    /// Whether an emit for a room may reach anybody. That its namespace has no clients is another reason for reaching
    /// nobody, which the message's own route tells.
    ///
    /// - Parameter isLocal: set when somebody on this loop is in it.
    private func mayReach(
        _ room: UnsafeRawBufferPointer, of namespace: ByteString, isLocal: inout Bool
    ) -> Bool {
        let local = localRooms?.namespaces[namespace]
        if let local, local.isAnyone(in: room) {
            isLocal = true
            return true
        }
        if loopCount == 1 { return local == nil }
        return room.count == SessionID.length || interest.isInterested(namespace: namespace, room: room)
            || local == nil && !isNamespaceKnown(namespace)
    }

    var refusalsForgotten: Int { refusals.forgotten }

    func tickSenders(at now: NIODeadline) { senders.tick(at: now) }

    func isNamespaceKnown(_ namespace: ByteString) -> Bool {
        shards.indices.contains { isAnyone(in: .everyone, of: namespace, loop: $0) }
    }

    func isAnyone(in rooms: PubSubMessage.Rooms, of namespace: ByteString, loop: Int) -> Bool {
        if loop == localLoop {
            guard let local = localRooms?.namespaces[namespace] else { return false }
            switch rooms {
            case .everyone: return true
            case .these(let names): return names.contains { $0.withUnsafeBytes { local.isAnyone(in: $0) } }
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
        if loop == localLoop { localShard?.perform(command) } else { batches[loop].append(command) }
    }

    /// Hands what was collected for the same rooms to their loops.
    ///
    /// - Parameter isLast: nothing follows in this read.
    private func closeDelivery(isLast: Bool = false) {
        guard let packet = open.packet.take() else { return }
        let delivery = Delivery(
            namespace: open.namespace, rooms: open.rooms, skip: [], content: .packet(packet.build()))
        deliver(delivery, isLocal: open.isLocal, others: open.others, isLast: isLast)
    }

    private func deliver(_ delivery: Delivery, isLocal: Bool, others: [Int], isLast: Bool = false) {
        for loop in others { batches[loop].append(.deliver(delivery)) }
        if isLocal { localShard?.deliver(delivery, isLast: isLast) }
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
    /// Our clients get it by the same way as any other.
    ///
    /// - Returns: why it isn't published, if that is known already, or how the one before it was refused.
    func emit(_ emit: PublishedEmit) throws -> RedisError? {
        counters.httpMessages += 1
        try decoder.decoding(emit) { try route($0) }
        let batch = outgoing ?? beginOutgoing()
        guard var channel = configuration.redisChannels.first else { return nil }
        let form = publishForm
        let message = PubSubMessageEncoder.emit(emit.payload, as: form)
        if let obstacle = broker.obstacle(toPublishing: batch.byteCount + message.count) {
            noteUnpublished(1, obstacle)
            return obstacle
        }
        // In another form it may be refused where this one was not.
        if form == .json, configuration.usesFastLane { echoes.expect(message) }
        channel.withUTF8 { channel in
            message.withUnsafeBytes { batch.append($0, to: UnsafeRawBufferPointer(channel)) }
        }
        if batch.byteCount >= Self.outgoingBytes { finishEmits() }
        return refusal
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
        broker.publish(batch).assumeIsolated().whenComplete { result in
            switch result {
            case .success: self.refusal = nil
            case .failure(let error): self.noteUnpublished(batch.failureCount, error)
            }
        }
    }

    /// An emit of ours as the other servers read it. A list means one thing up to 5.15.0 and another from 5.15.1 on: as long
    /// as only older ones have been seen here it is written for them.
    func inPublishForm(_ payload: [UInt8]) -> [UInt8] { PubSubMessageEncoder.emit(payload, as: publishForm) }

    private var publishForm: PubSubMessageEncoder.Form {
        configuration.publishForm ?? (senders.areAllBefore5_15_1 ? .bareJSON : .json)
    }

    func publishAnswer(to address: CallbackAddress, json: [UInt8], attachments: [[UInt8]]) {
        do {
            publish(try PubSubMessageEncoder.callback(to: address, arguments: json, attachments: attachments))
        } catch {
            logger.warning("a client's answer can't be published", metadata: ["cause": "\(error)"])
        }
    }

    /// Publishes on the first channel; a failure is counted and logged.
    @discardableResult
    func publish(_ payload: [UInt8]) -> EventLoopFuture<Int> {
        guard let channel = configuration.redisChannels.first else { return eventLoop.makeSucceededFuture(0) }
        let published = broker.publish(ByteBuffer(bytes: payload), to: channel)
        published.assumeIsolated().whenFailure { error in self.noteUnpublished(1, error) }
        return published
    }

    /// The server answers PUBLISH with an error, as where an ACL doesn't permit it: it will do so again.
    func noteRefusal(_ error: any Error) {
        if let error = error as? RedisError, case .refused = error { refusal = error }
    }

    /// Each cause is logged once a minute.
    private func noteUnpublished(_ messageCount: Int, _ error: any Error) {
        counters.publishFailures += messageCount
        noteRefusal(error)
        let isQueueFull = error as? RedisError == .queueFull
        if isQueueFull { counters.publishQueueFull += messageCount }
        // Which of those under way come back is not known any more; whatever does is read as any other message.
        echoes.removeAll()
        guard publishingLog.isDue("\(error)", at: eventLoop.now) else { return }
        logger.warning(
            "messages are not published: clients of this server get them, other servers on the channel don't",
            metadata: [
                "cause": "\(error)\(isQueueFull ? " (--max-redis-queue)" : "")",
                "publish_failures": "\(counters.publishFailures)",
            ])
    }
}

/// Events of one read for the same rooms, one behind the other, so that each client gets one write.
private final class OpenDelivery {
    // Unchecked: only the router uses it.
    @exclusivity(unchecked) var namespace: ByteString = ""
    @exclusivity(unchecked) var rooms = PubSubMessage.Rooms.everyone
    @exclusivity(unchecked) var isLocal = false
    /// The other loops that get it.
    @exclusivity(unchecked) var others: [Int] = []
    /// Nil while there is none.
    @exclusivity(unchecked) var packet: PacketBuilder?

    func takes(_ emit: PubSubMessage.Emit, limitBytes: Int) -> Bool {
        guard let byteCount = packet?.byteCount, byteCount < limitBytes else { return false }
        return emit.callback == nil && emit.skip.isEmpty && emit.rooms == rooms && emit.namespace == namespace
    }
}
