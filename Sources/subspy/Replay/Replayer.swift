import NIOCore
import RedisPubSub

/// Publishes a recording on time.
final class Replayer {
    private let session: RedisSession
    private let entries: ReplayEntries
    private let speed: ReplaySpeed
    private let rate: Double?
    private let progress: Progress
    private var pending: ReplayEntries.Entry?
    private var start = NIODeadline.now()
    private var sentCount = 0
    private var unheardCount = 0
    private var waitingCount = 0
    private var isComplete = false
    private var isWaitingForAnswers = false

    init(session: RedisSession, entries: ReplayEntries, speed: ReplaySpeed, rate: Double?) {
        self.session = session
        self.entries = entries
        self.speed = speed
        self.rate = rate
        progress = Progress(session.run)
    }

    func run() {
        session.run.interrupted = { [weak self] in self?.end(130) }
        session.whenConnected { [self] in
            progress.start()
            start = .now()
            pump()
        }
    }

    /// Publishes what is due, then waits for the next message's time or for answers.
    private func pump() {
        guard session.run.exitCode == nil else { return }
        var due = NIODeadline.now()
        while let entry = nextEntry() {
            guard waitingCount < RedisSession.window else {
                isWaitingForAnswers = true
                return
            }
            let time = deadline(of: entry)
            if time > due { due = .now() }
            guard time <= due else {
                _ = session.run.eventLoop.assumeIsolated().scheduleTask(deadline: time) { [self] in pump() }
                return
            }
            pending = nil
            publish(entry)
        }
        isComplete = true
        if waitingCount == 0 { end(0) }
    }

    private func nextEntry() -> ReplayEntries.Entry? {
        if let pending { return pending }
        do throws(RecordingReader.Failure) {
            pending = try entries.next()
        } catch {
            StandardError.say("\(error)")
            end(65)
        }
        return pending
    }

    private func deadline(of entry: ReplayEntries.Entry) -> NIODeadline {
        if let rate { return start + .nanoseconds(Int64(Double(sentCount) * 1e9 / rate)) }
        switch speed {
        case .maximum: return start
        case .factor(let factor): return start + .nanoseconds(Int64(Double(entry.microseconds) * 1000 / factor))
        }
    }

    private func publish(_ entry: ReplayEntries.Entry) {
        sentCount += 1
        waitingCount += 1
        let byteCount = entry.payload.count
        session.publishOnce(ByteBuffer(bytes: entry.payload), to: entry.redisChannel).assumeIsolated().whenComplete {
            [self] in
            answered($0, byteCount: byteCount)
        }
    }

    private func answered(_ result: Result<Int, any Error>, byteCount: Int) {
        guard session.run.exitCode == nil else { return }
        waitingCount -= 1
        switch result {
        case .success(let subscribers):
            progress.count(bytes: byteCount)
            if subscribers == 0 { unheardCount += 1 }
        case .failure(let error):
            StandardError.say(
                "\(error); message \(progress.messages + 1) and those after it may not have been published")
            return end(75)
        }
        if isComplete, waitingCount == 0 { return end(0) }
        if isWaitingForAnswers, waitingCount <= RedisSession.window / 2 {
            isWaitingForAnswers = false
            pump()
        }
    }

    private func end(_ code: Int32) {
        guard session.run.exitCode == nil else { return }
        let unheard = unheardCount == 0 ? "" : "; \(unheardCount) of them reached nobody"
        let refused = entries.refusedCount == 0 ? "" : "; \(entries.refusedCount) could not be rewritten"
        progress.finish("published \(progress.summary)\(unheard)\(refused)")
        session.run.end(code == 0 && unheardCount > 0 && unheardCount == progress.messages ? 3 : code)
    }
}
