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
    private let broker: any PubSubBroker
    private let configuration: BridgeConfiguration
    private let hostID: ByteString
    private let decoder: PubSubMessageDecoder
    private let logger: Logger
    private var refusals: RefusalLog
    private var shards: [NIOLoopBound<Shard>] = []
    private var localShard: Shard?
    private var interest: RoomInterest
    private var batches: [[ShardCommand]]
    private var open: OpenDelivery?
    private var scratch = JSONWriter(capacity: 256)
    private var hasWarnedOfPublishing = false
    private(set) var counters = RouterCounters()

    init(
        broker: any PubSubBroker, configuration: BridgeConfiguration, hostID: ByteString, loopCount: Int,
        logger: Logger
    ) {
        self.broker = broker
        self.configuration = configuration
        self.hostID = hostID
        self.loopCount = loopCount
        self.logger = logger
        eventLoop = broker.eventLoop
        var limits = PubSubMessageLimits()
        limits.maximumPayloadBytes = configuration.maxMessageBytes
        decoder = PubSubMessageDecoder(hostID: hostID, limits: limits)
        refusals = RefusalLog(logger: logger)
        interest = RoomInterest(loopCount: loopCount)
        batches = Array(repeating: [], count: loopCount)
    }

    func start(shards: [NIOLoopBound<Shard>]) {
        self.shards = shards
        localShard = shards.first { $0.eventLoop === eventLoop }?.value
        broker.start(delegate: self)
    }

    func shutdown() -> EventLoopFuture<Void> { broker.shutdown() }

    // MARK: PubSubDelegate

    func received(_ payload: UnsafeRawBufferPointer, on redisChannel: UnsafeRawBufferPointer) {
        counters.messagesReceived += 1
        do {
            try route(decoder.decode(payload))
        } catch {
            counters.messagesRefused += 1
            refusals.log(error, redisChannel: redisChannel)
        }
    }

    func receivedBatch() {
        closeDelivery()
        for loop in batches.indices where !batches[loop].isEmpty {
            let commands = batches[loop]
            batches[loop].removeAll(keepingCapacity: true)
            let shard = shards[loop]
            if shard.eventLoop === eventLoop {
                localShard?.perform(commands)
            } else {
                shard.eventLoop.execute { shard.value.perform(commands) }
            }
        }
    }

    func subscriptionChanged(_ state: SubscriptionState) {
        counters.subscriptionChanges += 1
        if state == .subscribed { hasWarnedOfPublishing = false }
    }

    // MARK: Routing

    private func route(_ message: PubSubMessage) throws(PubSubMessageError) {
        switch message {
        case .emit(let emit): try route(emit)
        case .disconnect(let sid, let namespace):
            send(.disconnect(sid: sid, namespace: namespace), toOwnerOf: sid)
        case .enterRoom(let sid, let room, let namespace):
            guard let loop = SessionID.loop(of: sid, loopCount: loopCount) else { return }
            if shards[loop].eventLoop !== eventLoop {
                interest.add(1, namespace: namespace, room: room, loop: loop)
            }
            append(.enterRoom(sid: sid, room: room, namespace: namespace), loop: loop)
        case .leaveRoom(let sid, let room, let namespace):
            send(.leaveRoom(sid: sid, room: room, namespace: namespace), toOwnerOf: sid)
        case .closeRoom(let room, let namespace):
            for loop in 0..<loopCount where isAnyone(in: .these([room]), of: namespace, loop: loop) {
                append(.closeRoom(room: room, namespace: namespace), loop: loop)
            }
        case .callback, .ignored: counters.messagesIgnored += 1
        }
    }

    private func route(_ emit: PubSubMessage.Emit) throws(PubSubMessageError) {
        if open?.takes(emit, limitBytes: configuration.maxJoinedBytes) == true {
            let body = try decoder.encodeEvent()
            open?.packet.append(body, namespace: emit.namespace, scratch: &scratch)
            counters.messagesDelivered += 1
            return
        }
        let loops = (0..<loopCount).filter { isAnyone(in: emit.rooms, of: emit.namespace, loop: $0) }
        guard !loops.isEmpty else {
            counters.messagesForNobody += 1
            return
        }
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

    private func isAnyone(in rooms: PubSubMessage.Rooms, of namespace: ByteString, loop: Int) -> Bool {
        if shards[loop].eventLoop === eventLoop {
            guard let local = localShard?.registry.namespaces[namespace] else { return false }
            switch rooms {
            case .everyone: return true
            case .these(let names): return localShard?.registry.isAnyone(in: names, of: local) ?? false
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
        guard let loop = SessionID.loop(of: sid, loopCount: loopCount) else { return }
        append(command, loop: loop)
    }

    private func append(_ command: ShardCommand, loop: Int) {
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
        if shards[loop].eventLoop !== eventLoop {
            interest.add(-1, namespace: namespace, room: room, loop: loop)
        }
    }

    /// Whether a client of any loop has this sid.
    func hasSocket(_ sid: ByteString, in namespace: ByteString, loop: Int) -> EventLoopFuture<Bool> {
        let shard = shards[loop]
        return shard.eventLoop.submit { shard.value.registry.namespaces[namespace]?.sockets[sid] != nil }
    }

    // MARK: Outgoing

    /// Delivers an HTTP emit here and publishes it for the other servers on the channel.
    ///
    /// - Parameter payload: the message as it goes to Redis; our clients get it by the same way as any other.
    func emit(_ payload: [UInt8]) throws {
        try payload.withUnsafeBytes { try route(try decoder.decode($0, includingOwn: true)) }
        receivedBatch()
        publish(payload)
    }

    func publishAnswer(to address: CallbackAddress, json: [UInt8], attachments: [[UInt8]]) {
        do {
            publish(try PubSubMessageEncoder.callback(to: address, arguments: json, attachments: attachments))
        } catch {
            logger.warning("a client's answer can't be published", metadata: ["cause": "\(error)"])
        }
    }

    private func publish(_ payload: [UInt8]) {
        guard let channel = configuration.redisChannels.first else { return }
        broker.publish(ByteBuffer(bytes: payload), to: channel).assumeIsolated().whenFailure { error in
            self.counters.publishFailures += 1
            if self.hasWarnedOfPublishing { return }
            self.hasWarnedOfPublishing = true
            self.logger.warning(
                "not published: other servers on the channel miss this message and, until Redis is back, others",
                metadata: ["cause": "\(error)"])
        }
    }

    /// The secrets that open a room-space; none when there is no such key.
    func roomSecrets(of space: ByteString) -> EventLoopFuture<[ByteBuffer]> {
        let values = JoinRequest.secretKeys(of: space).map { broker.get($0) }
        return EventLoopFuture.whenAllSucceed(values, on: eventLoop).map { $0.compactMap { $0 } }
    }
}

/// Events of one read for the same rooms, one behind the other, so that each client gets one write.
private struct OpenDelivery {
    let namespace: ByteString
    let rooms: PubSubMessage.Rooms
    let loops: [Int]
    var packet: PacketBuilder

    func takes(_ emit: PubSubMessage.Emit, limitBytes: Int) -> Bool {
        emit.callback == nil && emit.skip.isEmpty && emit.rooms == rooms && emit.namespace == namespace
            && packet.byteCount < limitBytes
    }
}

/// What passed through the router, as plain integers.
package struct RouterCounters: Sendable {
    package var messagesReceived = 0
    package var messagesDelivered = 0
    package var messagesForNobody = 0
    package var messagesIgnored = 0
    package var messagesRefused = 0
    package var publishFailures = 0
    package var subscriptionChanges = 0

    /// Name and value of each counter that isn't zero, for the log.
    package var nonZero: [(name: String, value: Int)] {
        [
            ("messages_received", messagesReceived), ("messages_delivered", messagesDelivered),
            ("messages_for_nobody", messagesForNobody), ("messages_ignored", messagesIgnored),
            ("messages_refused", messagesRefused), ("publish_failures", publishFailures),
            ("subscription_changes", subscriptionChanges),
        ].filter { $0.1 != 0 }
    }
}
