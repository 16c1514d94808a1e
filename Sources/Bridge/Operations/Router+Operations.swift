import NIOCore
import PubSubMessages
import RedisPubSub

/// The router's canaries, numbers and memory.
extension Router {
    /// Publishes a canary; it comes back through the subscription, or at once where there is no Redis.
    ///
    /// - Returns: its id; nil while there is no subscription, or without canaries.
    @discardableResult
    func sendCanary() -> Int64? {
        guard let (id, payload) = canaries.next() else { return nil }
        if broker is LocalBroker {
            received(payload.span, on: Span())
            receivedBatch()
        } else {
            canaries.publish(payload)
        }
        return id
    }

    /// Everything that was counted here.
    func numbers() -> RouterNumbers {
        senders.tick(at: .now())
        unsafe counters.publishFailures = publisher.failureCount
        unsafe counters.publishQueueFull = publisher.queueFullCount
        unsafe counters.secretsUnusable = secrets.unusableCount
        if let stored = storage?.counters {
            unsafe counters.keptWrites = stored.writes
            unsafe counters.keptStoreFailures = stored.failures
            unsafe counters.keptDamaged = stored.damaged
            unsafe counters.keptLeasesTaken = stored.leasesTaken
        }
        unsafe counters.canariesSent = canaries.sentCount
        unsafe counters.canariesReturned = canaries.returnedCount
        unsafe counters.sendersForgotten = senders.forgotten
        unsafe counters.explanationsForgotten = senders.refusalsForgotten
        unsafe counters.gapsForgotten = gaps.forgotten
        return unsafe RouterNumbers(
            counters: counters, redis: broker.counters, senders: senders.entries, kept: keeper.store.numbers,
            recoveryLogBytes: recovery?.log.byteCount ?? 0)
    }

    /// Gives back the memory that large messages took: some time later, since they come in bursts.
    func giveMemoryBack() {
        let hasFreedMuch = rooms.localLoop >= 0 && shards[rooms.localLoop].value.connections.total.takeTrim()
        if hasLargeScratch || decoder.writerBytes > BridgeLimits.keptScratchBytes {
            hasLargeScratch = false
            decoder.releaseScratch()
        } else if !hasFreedMuch {
            return
        }
        Memory.trim()
    }
}
