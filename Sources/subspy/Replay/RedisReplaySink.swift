import NIOCore
import RedisPubSub

/// Publishes the messages of a replay in batches, and waits while Redis is away.
final class RedisReplaySink: ReplaySink {
    private let session: RedisSession
    private var replayer: Replayer?
    private var unheardCount = 0
    private var waitingCount = 0
    /// Batches that found no connection: nothing of them has been published.
    private var unsent: [RedisPublishBatch] = []
    /// Messages whose reply was lost with the connection.
    private var uncertainCount = 0
    private var pausedSince: NIODeadline?
    private var batch = RedisPublishBatch()

    init(session: RedisSession) {
        self.session = session
    }

    var hasRoom: Bool { pausedSince == nil && waitingCount + batch.messageCount < Limits.unansweredMessages }
    var isIdle: Bool { waitingCount == 0 && pausedSince == nil }

    var remarks: String? {
        var remarks = unheardCount == 0 ? "" : "; \(unheardCount) of them reached nobody"
        if uncertainCount > 0 { remarks += "; \(uncertainCount) more were under way when Redis went and may be lost" }
        return remarks
    }

    var exitCode: Int32 {
        if uncertainCount > 0 { return 75 }
        return unheardCount > 0 && unheardCount == replayer?.publishedCount ? 3 : 0
    }

    func start(_ replayer: Replayer, _ ready: @escaping () -> Void) {
        self.replayer = replayer
        session.whenConnected(ready)
    }

    func take(_ entry: ReplayEntries.Entry) {
        unsafe entry.redisChannel.withUnsafeBytes { name in
            unsafe entry.payload.withUnsafeBytes { unsafe batch.append($0, to: name) }
        }
        if batch.messageCount >= Limits.batchMessages || batch.byteCount >= Limits.batchBytes { flush() }
    }

    func flush() {
        guard batch.messageCount > 0 else { return }
        let full = batch
        batch = RedisPublishBatch(capacity: full.byteCount)
        send(full)
    }

    private func send(_ sent: RedisPublishBatch) {
        waitingCount += sent.messageCount
        session.publishOnce(sent).assumeIsolated().whenComplete { [self] in completed($0, sent) }
    }

    private func completed(_ result: Result<Void, any Error>, _ batch: RedisPublishBatch) {
        guard session.run.exitCode == nil else { return }
        waitingCount -= batch.messageCount
        unheardCount += batch.unheardCount
        if case .failure(let error) = result { return failed(error, batch) }
        replayer?.count(batch.messageCount, bytes: batch.payloadBytes)
        if pausedSince == nil { replayer?.proceed() }
    }

    // MARK: Outages

    private func failed(_ error: any Error, _ batch: RedisPublishBatch) {
        switch error {
        case RedisError.notConnected, RedisError.queueFull, RedisError.unreachable: unsent.append(batch)
        default:
            replayer?.count(batch.replyCount, bytes: batch.payloadBytes * batch.replyCount / batch.messageCount)
            uncertainCount += batch.messageCount - batch.replyCount
        }
        if case RedisError.refused = error {
            StandardError.say("\(error)")
            replayer?.end(77)
        } else if session.isPatient {
            pause()
        } else {
            let next = (replayer?.publishedCount ?? 0) + 1
            StandardError.say("\(error); message \(next) and those after it may not have been published")
            replayer?.end(75)
        }
    }

    /// Waits for Redis, then goes on where it was: what was under way is not published again.
    private func pause() {
        guard pausedSince == nil else { return }
        let since = NIODeadline.now()
        pausedSince = since
        session.whenConnected { [self] in
            guard session.run.exitCode == nil else { return }
            pausedSince = nil
            let again = unsent
            unsent = []
            for batch in again { send(batch) }
            replayer?.proceed(delay: .now() - since)
        }
    }
}
