import Bytes
import NIOCore
import PubSubMessages
import RedisPubSub

/// HTTP emits: delivered here, and published for the other servers on the channel.
extension Router {
    /// Delivers an HTTP emit here and publishes it for the other servers on the channel, both at the end of this turn of the
    /// event loop: emits that arrive together leave in one write to each client and one to Redis.
    ///
    /// - Returns: why it isn't published, if that is known already, or the error reply to the one before it.
    func emit(_ payload: [UInt8]) throws -> RedisError? {
        unsafe counters.httpMessages += 1
        try unsafe payload.withUnsafeBytes { try unsafe route(try decoder.decode($0, includingOwn: true)) }
        if !publisher.hasBatch { eventLoop.assumeIsolated().execute { self.finishEmits() } }
        let obstacle = publisher.append(payload, as: publisher.format(for: senders))
        if publisher.isBatchFull { finishEmits() }
        return obstacle
    }

    private func finishEmits() {
        outbox.flush()
        publisher.publishBatch()
    }

    /// Delivers and publishes an HTTP emit as `emit` does, and reports the result.
    func emitReporting(_ payload: [UInt8]) throws -> EventLoopFuture<EmitReport> {
        unsafe counters.httpMessages += 1
        var kept = 0
        let (emit, packet) = try unsafe payload.withUnsafeBytes { bytes in
            guard case .emit(let emit) = try unsafe decoder.decode(bytes, includingOwn: true) else {
                throw PubSubMessageError.notAnEmit
            }
            let event = try decoder.encodeEventInPlace()
            if keeper.mayKeep(emit) { kept = keeper.keep(event, of: emit) }
            return (emit, outbox.packet(of: event, emit))
        }
        if gaps.announcementIsPending { announceGap() }
        finishEmits()
        let delivery = Delivery(namespace: emit.namespace, rooms: emit.rooms, skip: emit.skip, content: .packet(packet))
        let parts = EventLoopFuture.whenAllSucceed(shards.map { deliver(delivery, on: $0) }, on: eventLoop)
        let message = PubSubMessageEncoder.emit(payload, as: publisher.format(for: senders))
        return parts.and(publication(of: message)).assumeIsolated().map { parts, publication in
            var report = EmitReport(
                parts, namespace: emit.namespace, allowed: self.configuration.namespaces, publication: publication)
            report.kept = kept
            if report.sum.matched > 0 {
                unsafe self.counters.messagesDelivered += 1
            } else {
                unsafe self.counters.messagesForNobody += 1
                unsafe self.counters.drops[report.hasClients ? .nobodyInRoom : .noSuchNamespace] += 1
            }
            return report
        }.nonisolated()
    }

    private func deliver(_ delivery: Delivery, on shard: NIOLoopBound<Shard>) -> EventLoopFuture<EmitReport.Part> {
        // At once on this loop, so that no later message overtakes it.
        guard shard.eventLoop === eventLoop else {
            return shard.eventLoop.submit { shard.value.deliverReporting(delivery) }
        }
        return eventLoop.makeSucceededFuture(shard.value.deliverReporting(delivery))
    }

    private func publication(of message: [UInt8]) -> EventLoopFuture<EmitReport.Publication> {
        let isWithoutRedis = broker is LocalBroker
        return publisher.publish(message).map { isWithoutRedis ? .withoutRedis : .published($0) }
            .recover { .failed($0 as? RedisError ?? .notConnected) }
    }
}
