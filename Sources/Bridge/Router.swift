import Bytes
import Logging
import NIOCore
import PubSubMessages
import RedisPubSub

/// Turns messages from Redis into work for the event loops. Lives on the loop that reads Redis.
///
///     payload ─▶ decode ─▶ who has such a room? ─▶ write the packet once ─▶ one task per loop and read
final class Router: PubSubDelegate {
    let eventLoop: any EventLoop
    let loopCount: Int
    let broker: any PubSubBroker
    let configuration: BridgeConfiguration
    let decoder: PubSubMessageDecoder
    let rooms: RoomDirectory
    let outbox: ShardOutbox
    let publisher: LocalPublisher
    let canaries: CanaryMonitor
    let gaps: GapMonitor
    let secrets: RoomSecretReader
    let senders: SenderMonitor
    let keeper: MessageKeeper
    let storage: KeptStorage?
    /// Joins that wait for kept messages from Redis.
    var waitingJoins: [(join: Join, loop: Int)] = []
    /// Messages may have been missed since pages were given the kept ones.
    var keptMayBeOld = false
    /// Joins done before everything was read, with the number of values that were read.
    var earlyJoins: [(join: Join, loop: Int, loadCount: Int)] = []
    /// Nil without recovery.
    let recovery: RouterRecovery?
    private let readiness: Readiness
    private(set) var shards: [NIOLoopBound<Shard>] = []
    private var timers: [RepeatedTask] = []
    // Exclusivity is unchecked as in `PubSubMessageDecoder`.
    @exclusivity(unchecked) var counters = RouterCounters()
    /// Decoding has taken memory that should be given back.
    var hasLargeScratch = false

    init(
        broker: any PubSubBroker, configuration: BridgeConfiguration, hostID: ByteString, loopCount: Int,
        readiness: Readiness, metrics: BridgeMetrics, logger: Logger
    ) {
        self.broker = broker
        self.configuration = configuration
        self.loopCount = loopCount
        self.readiness = readiness
        eventLoop = broker.eventLoop
        var limits = PubSubMessageLimits()
        limits.maximumPayloadBytes = configuration.maxMessageBytes
        limits.maximumSenders = configuration.maxSenders
        decoder = PubSubMessageDecoder(hostID: hostID, limits: limits, usesFastLane: configuration.usesFastLane)
        decoder.listConvention = configuration.listConvention
        rooms = RoomDirectory(loopCount: loopCount)
        recovery = RouterRecovery(configuration, rooms: rooms)
        outbox = ShardOutbox(
            loopCount: loopCount, joinLimitBytes: configuration.maxJoinedBytes, rules: configuration.rules,
            recovery: recovery)
        publisher = LocalPublisher(broker: broker, configuration: configuration, logger: logger)
        canaries = CanaryMonitor(
            configuration: configuration, hostID: hostID, loopCount: loopCount, publisher: publisher,
            eventLoop: broker.eventLoop, readiness: readiness, metrics: metrics)
        gaps = GapMonitor(
            eventLoop: broker.eventLoop, readiness: readiness, metrics: metrics, logger: logger)
        secrets = RoomSecretReader(broker: broker, limit: configuration.maxSecretBytes, logger: logger)
        senders = SenderMonitor(configuration: configuration, logger: logger, now: broker.eventLoop.now)
        keeper = MessageKeeper(configuration: configuration, eventLoop: broker.eventLoop, logger: logger)
        storage = KeptStorage(
            store: keeper.store, broker: broker, publisher: publisher, configuration: configuration, hostID: hostID,
            logger: logger)
        keeper.storage = storage
    }

    func start(shards: [NIOLoopBound<Shard>]) {
        self.shards = shards
        if let index = shards.firstIndex(where: { $0.eventLoop === eventLoop }) {
            let shard = shards[index].value
            rooms.setLocal(shard.registry, loop: index)
            outbox.start(shards: shards, local: (shard, index))
        } else {
            outbox.start(shards: shards, local: nil)
        }
        gaps.announce = { [weak self] in
            self?.announceGap()
            self?.outbox.flush()
        }
        storage?.becameSynced = { [weak self] in
            self?.joinWaiting()
            self?.giveRestToEarlyJoins()
            self?.keptMessagesAreCurrent()
            self?.outbox.flush()
        }
        broker.start(delegate: self)
        if let interval = configuration.canaryInterval {
            every(TimeAmount(interval)) { router in
                router.sendCanary()
                router.senders.tick(at: .now())
            }
        }
        every(BridgeLimits.memoryInterval) { router in
            router.keeper.store.expire(at: WallClock.now())
            router.recovery?.expire()
            router.giveMemoryBack()
        }
    }

    private func every(_ interval: TimeAmount, _ body: @escaping (Router) -> Void) {
        let bound = NIOLoopBound((router: self, body: body), eventLoop: eventLoop)
        timers.append(
            eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
                bound.value.body(bound.value.router)
            })
    }

    func shutdown() -> EventLoopFuture<Void> {
        for timer in timers { timer.cancel() }
        gaps.shutdown()
        let stored = storage?.shutdown() ?? eventLoop.makeSucceededVoidFuture()
        return stored.assumeIsolated().flatMap { self.broker.shutdown() }.nonisolated()
    }

    // MARK: PubSubDelegate

    func received(_ payload: Span<UInt8>, on redisChannel: Span<UInt8>) {
        // The decoder keeps the payload from `decode` to `encodeEventInPlace`, which a span can't express.
        unsafe payload.withUnsafeBytes { unsafe receive($0, on: redisChannel) }
    }

    /// - Parameter payload: valid until this returns.
    private func receive(_ payload: UnsafeRawBufferPointer, on redisChannel: Span<UInt8>) {
        unsafe counters.messagesReceived += 1
        if payload.count > BridgeLimits.keptScratchBytes { hasLargeScratch = true }
        var isNoted = false
        // Set when the decoder has asked, and somebody on this loop is in the room.
        var isLocal = false
        do throws(PubSubMessageError) {
            let message = try unsafe decoder.decode(payload) {
                unsafe rooms.mayReach($0, of: $1, isLocal: &isLocal) || keeper.mayKeep($0, of: $1)
            }
            unsafe senders.note(message, payload.count, decodedBy: decoder, redisChannel, counters: &counters)
            isNoted = true
            try route(message, isLocal: isLocal)
            if !decoder.mistakes.isEmpty { unsafe senders.noteMistakes(of: decoder, redisChannel, counters: &counters) }
        } catch {
            unsafe senders.noteRefusal(error, payload.count, isNoted: isNoted, redisChannel, counters: &counters)
        }
    }

    func receivedBatch() { outbox.flush() }

    func subscriptionChanged(_ state: SubscriptionState) {
        unsafe counters.subscriptionChanges += 1
        canaries.removeAll()
        switch state {
        case .subscribed:
            publisher.subscriptionIsUp()
            gaps.subscriptionIsUp()
            if let recovery {
                recovery.gapEnded()
                // Sockets that connect from now on have missed nothing in the gap.
                outbox.appendToAll(.position(position))
                outbox.flush()
            }
            sendCanary()
            storage?.subscriptionChanged(state)
        case .lost(let cause, let since):
            gaps.subscriptionWasLost(cause, since: since)
            keptMayBeOld = true
            storage?.subscriptionChanged(state)
        }
    }

    func subscriptionLossExplained(_ loss: SubscriptionLoss) { gaps.explained(loss.cause) }

    func outageChanged(_ outage: RedisOutage?) {
        readiness.update { $0.outage = outage }
        storage?.isAway = outage != nil
    }

    // MARK: Routing

    /// - Parameter isLocal: somebody on this loop is known to be in the room.
    func route(_ message: PubSubMessage, isLocal: Bool = false) throws(PubSubMessageError) {
        switch message {
        case .emit(let emit): try route(emit, isLocal: isLocal)
        case .emitForNobody:
            unsafe counters.messagesForNobody += 1
            unsafe counters.drops[.nobodyInRoom] += 1
        case .disconnect(let sid, let namespace):
            send(.disconnect(sid: sid, namespace: namespace), toOwnerOf: sid)
        case .enterRoom(let sid, let room, let namespace):
            // Adds provisional interest, so that the next emit to the room finds the loop.
            if let loop = send(.enterRoom(sid: sid, room: room, namespace: namespace), toOwnerOf: sid) {
                rooms.add(1, namespace: namespace, room: room, loop: loop)
                give(keptPackets(of: room, in: namespace), of: room, in: namespace, to: sid, loop: loop)
            }
        case .leaveRoom(let sid, let room, let namespace):
            send(.leaveRoom(sid: sid, room: room, namespace: namespace), toOwnerOf: sid)
        case .closeRoom(let room, let namespace):
            // Also to loops without members: a join may be under way there.
            let command = ShardCommand.closeRoom(room: room, namespace: namespace)
            recovery?.note(command)
            outbox.appendToAll(command)
        case .canary(let id): if canaries.arrived(id) { outbox.appendToAll(.canary(id: id)) }
        case .keptRequest(let host, let id): storage?.requestSeen(of: host, id: id)
        case .keptStored(let writer, let host, let id): storage?.storedSeen(by: writer, for: host, id: id)
        case .callback: unsafe counters.messagesIgnored += 1
        case .ignored(let reason):
            unsafe counters.messagesIgnored += 1
            if let reason = DropReason(reason) { unsafe counters.drops[reason] += 1 }
        }
    }

    private func route(_ emit: PubSubMessage.Emit, isLocal: Bool) throws(PubSubMessageError) {
        let mayKeep = keeper.mayKeep(emit)
        if outbox.canJoin(emit) {
            let event = try decoder.encodeEventInPlace()
            outbox.join(event, of: emit)
            unsafe counters.messagesDelivered += 1
            if mayKeep { keeper.keep(event, of: emit) }
            return
        }
        let isLocal = isLocal || rooms.isAnyoneLocal(in: emit.rooms, of: emit.namespace)
        let others = rooms.otherLoops(with: emit.rooms, of: emit.namespace)
        guard isLocal || !others.isEmpty else {
            unsafe counters.messagesForNobody += 1
            unsafe counters.drops[rooms.isKnown(emit.namespace) ? .nobodyInRoom : .noSuchNamespace] += 1
            if mayKeep { keeper.keep(try decoder.encodeEventInPlace(), of: emit) }
            return
        }
        if gaps.announcementIsPending { announceGap() }
        // Only now is the message's data looked at.
        let event = try decoder.encodeEventInPlace()
        unsafe counters.messagesDelivered += 1
        outbox.deliver(event, of: emit, isLocal: isLocal, others: others)
        if mayKeep { keeper.keep(event, of: emit) }
    }

    /// - Returns: the loop of the client; nil when the sid is none of this server's.
    @discardableResult
    private func send(_ command: ShardCommand, toOwnerOf sid: ByteString) -> Int? {
        recovery?.note(command)
        guard let loop = rooms.owner(of: sid) else {
            unsafe counters.drops[.unknownSid] += 1
            return nil
        }
        outbox.append(command, loop: loop)
        return loop
    }
}
