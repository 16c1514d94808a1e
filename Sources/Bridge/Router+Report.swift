import JSONCodec
import NIOCore
import PubSubMessages
import RedisPubSub

extension Router {
    /// Delivers and publishes an HTTP emit as `emit` does, and reports what became of it.
    func emitReporting(_ payload: [UInt8]) throws -> EventLoopFuture<EmitReport> {
        counters.httpMessages += 1
        let (emit, packet) = try payload.withUnsafeBytes { bytes in
            guard case .emit(let emit) = try decoder.decode(bytes, includingOwn: true) else {
                throw PubSubMessageError.notAnEmit
            }
            let event = try decoder.encodeEventInPlace()
            return (emit, PacketBuilder(event, namespace: emit.namespace, scratch: &scratch).build())
        }
        if gapIsUntold { tellOfGap() }
        finishEmits()
        let delivery = Delivery(
            namespace: emit.namespace, rooms: emit.rooms, skip: emit.skip, content: .packet(packet))
        let parts = EventLoopFuture.whenAllSucceed(shards.map { report(delivery, on: $0) }, on: eventLoop)
        let published = publishReporting(inPublishForm(payload))
        return parts.and(published).assumeIsolated().map { parts, published in
            self.report(emit, parts, published)
        }.nonisolated()
    }

    private func report(_ delivery: Delivery, on shard: NIOLoopBound<Shard>) -> EventLoopFuture<EmitReport.Part> {
        // At once on this loop, so that no later message overtakes it.
        guard shard.eventLoop === eventLoop else {
            return shard.eventLoop.submit { shard.value.deliverReporting(delivery) }
        }
        return eventLoop.makeSucceededFuture(shard.value.deliverReporting(delivery))
    }

    private func publishReporting(_ payload: [UInt8]) -> EventLoopFuture<Result<Int, RedisError>> {
        publish(payload).map { .success($0) }.recover { .failure($0 as? RedisError ?? .notConnected) }
    }

    private func report(
        _ emit: PubSubMessage.Emit, _ parts: [EmitReport.Part], _ published: Result<Int, RedisError>
    ) -> EmitReport {
        var report = EmitReport()
        var lookup = RoomLookup()
        for part in parts {
            report.add(part)
            lookup.add(part.lookup)
        }
        if report.matched > 0 {
            counters.messagesDelivered += 1
        } else {
            counters.messagesForNobody += 1
            counters.drops[lookup.sockets > 0 ? .nobodyInRoom : .noSuchNamespace] += 1
        }
        report.reasons = EmitReport.Reason.reasons(
            for: lookup, namespace: emit.namespace, allowed: configuration.namespaces)
        if report.tooSlow > 0 {
            let text = "\(report.tooSlow) clients were disconnected: more than --max-queue waited for them"
            report.reasons.append(EmitReport.Reason(code: "slow_client", text: text))
        }
        switch published {
        case .success where broker is LocalBroker:
            let text = "this server runs without Redis: there are no other servers"
            report.reasons.append(EmitReport.Reason(code: "no_redis", text: text))
        case .success(let count): report.subscribers = count
        case .failure(let error): report.reasons.append(.notPublished(error))
        }
        return report
    }
}
