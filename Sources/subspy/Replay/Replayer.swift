import NIOCore
import RedisPubSub

/// Publishes a recording on time.
final class Replayer {
    private let session: RedisSession
    private let pace: ReplayPace
    private let progress: ReplayProgress
    private var unheardCount = 0
    private var waitingCount = 0
    private var isComplete = false
    private var isWaitingForAnswers = false
    /// Batches that found no connection: nothing of them has been published.
    private var unsent: [RedisPublishBatch] = []
    /// Messages of which the connection took the answer with it.
    private var uncertainCount = 0
    private var pausedSince: NIODeadline?
    private var batch = RedisPublishBatch()

    /// Messages and bytes of one write: a quarter of the window, so that Redis works while the next is made.
    private static let maximumBatchMessages = RedisSession.window / 4
    private static let maximumBatchBytes = 1 << 18

    init(session: RedisSession, entries: ReplayEntries, pace: ReplayPace) {
        self.session = session
        self.pace = pace
        progress = ReplayProgress(session.run, entries)
    }

    func run() {
        session.run.interrupted = { [weak self] in self?.end(130) }
        session.whenConnected { [self] in
            progress.start()
            pace.start()
            pump()
        }
    }

    /// Publishes what is due, then waits for the next message's time or for answers.
    private func pump() {
        guard session.run.exitCode == nil, pausedSince == nil else { return }
        do throws(RecordingReader.Failure) {
            while true {
                guard waitingCount + batch.messageCount < RedisSession.window else {
                    isWaitingForAnswers = true
                    return send()
                }
                switch try pace.next(progress.entries) {
                case .due(let entry): append(entry)
                case .later(let time):
                    send()
                    _ = session.run.eventLoop.assumeIsolated().scheduleTask(deadline: time) { [self] in pump() }
                    return
                case .end:
                    isComplete = true
                    send()
                    if waitingCount == 0, pausedSince == nil { end(0) }
                    return
                }
            }
        } catch {
            send()
            StandardError.say("\(error)")
            end(65)
        }
    }

    private func append(_ entry: ReplayEntries.Entry) {
        entry.redisChannel.withUnsafeBytes { name in
            entry.payload.withUnsafeBytes { batch.append($0, to: name) }
        }
        if batch.messageCount >= Self.maximumBatchMessages || batch.byteCount >= Self.maximumBatchBytes { send() }
    }

    private func send() {
        guard batch.messageCount > 0 else { return }
        let full = batch
        batch = RedisPublishBatch(capacity: full.byteCount)
        send(full)
    }

    private func send(_ sent: RedisPublishBatch) {
        waitingCount += sent.messageCount
        session.publishOnce(sent).assumeIsolated().whenComplete { [self] in answered($0, sent) }
    }

    private func answered(_ result: Result<Void, any Error>, _ batch: RedisPublishBatch) {
        guard session.run.exitCode == nil else { return }
        waitingCount -= batch.messageCount
        unheardCount += batch.unheardCount
        if case .failure(let error) = result { return failed(error, batch) }
        progress.count(batch.messageCount, bytes: batch.payloadBytes)
        if isComplete, waitingCount == 0, pausedSince == nil { return end(0) }
        if isWaitingForAnswers {
            isWaitingForAnswers = false
            pump()
        }
    }

    // MARK: Outages

    private func failed(_ error: any Error, _ batch: RedisPublishBatch) {
        switch error {
        case RedisError.notConnected, RedisError.queueFull, RedisError.unreachable: unsent.append(batch)
        default:
            progress.count(batch.answeredCount, bytes: batch.payloadBytes * batch.answeredCount / batch.messageCount)
            uncertainCount += batch.messageCount - batch.answeredCount
        }
        if case RedisError.refused = error {
            StandardError.say("\(error)")
            return end(77)
        }
        guard session.isPatient else {
            StandardError.say(
                "\(error); message \(progress.messages + 1) and those after it may not have been published")
            return end(75)
        }
        pause()
    }

    /// Waits for Redis, then goes on where it was: what was under way is not published again.
    private func pause() {
        guard pausedSince == nil else { return }
        let since = NIODeadline.now()
        pausedSince = since
        session.whenConnected { [self] in
            guard session.run.exitCode == nil else { return }
            pausedSince = nil
            isWaitingForAnswers = false
            pace.delay(by: .now() - since)
            let again = unsent
            unsent = []
            for batch in again { send(batch) }
            pump()
        }
    }

    private func end(_ code: Int32) {
        guard session.run.exitCode == nil else { return }
        var remarks = unheardCount == 0 ? "" : "; \(unheardCount) of them reached nobody"
        if uncertainCount > 0 { remarks += "; \(uncertainCount) more were under way when Redis went and may be lost" }
        progress.finish(remarks)
        if code != 0 { return session.run.end(code) }
        let reachedNobody = unheardCount > 0 && unheardCount == progress.messages
        session.run.end(uncertainCount > 0 ? 75 : reachedNobody ? 3 : 0)
    }
}
