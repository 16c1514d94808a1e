import JSONCodec
import Logging
import NIOCore
import PubSubMessages
import RedisPubSub

/// What the router does so that operators, and pages, know whether they can rely on it.
extension Router {
    // MARK: Canaries

    func startCanaries() {
        guard let interval = configuration.canaryInterval else { return }
        let delay = TimeAmount(interval)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        canaryTimer = eventLoop.scheduleRepeatedTask(initialDelay: delay, delay: delay) { _ in
            bound.value.sendCanary()
            bound.value.tickSenders(at: .now())
        }
    }

    /// Publishes a sign of life; it comes back by the subscription, or at once where there is no Redis.
    ///
    /// - Returns: its id; nil while there is no subscription, or without canaries.
    @discardableResult
    func sendCanary() -> Int64? {
        guard configuration.canaryInterval != nil, readiness.current.isSubscribed,
            let channel = configuration.redisChannels.first
        else { return nil }
        let id = canary.send(at: eventLoop.now)
        counters.canariesSent += 1
        let payload = PubSubMessageEncoder.canary(id: id, hostID: hostID)
        if broker is LocalBroker {
            let name = Array(channel.utf8)
            payload.withUnsafeBytes { payload in name.withUnsafeBytes { received(payload, on: $0) } }
            receivedBatch()
            return id
        }
        broker.publish(ByteBuffer(bytes: payload), to: channel).assumeIsolated().whenComplete { result in
            var failure: String?
            switch result {
            case .success: self.refusal = nil
            case .failure(let error):
                failure = "\(error)"
                self.noteRefusal(error)
            }
            self.readiness.update { [failure] in $0.publishFailure = failure }
        }
        return id
    }

    /// One came back: what was published before it has been seen. Every event loop is asked to look up a room.
    func canaryArrived(_ id: Int64) {
        guard let sent = canary.arrived(id) else { return }
        readiness.update { $0.missingLoops = sent.missingLoops.sorted() }
        for loop in 0..<loopCount { append(.canary(id: id), loop: loop) }
    }

    /// An event loop has found a room for it.
    func canaryReached(_ id: Int64, loop: Int) {
        let finished = canary.reached(id, loop: loop)
        let now = eventLoop.now
        readiness.update { state in
            state.missingLoops.removeAll { $0 == loop }
            guard let finished else { return }
            state.lastCanary = finished.sentAt
            state.lastRoundTrip = now - finished.sentAt
        }
        guard let finished else { return }
        counters.canariesReturned += 1
        metrics.canaryRoundTrip.recordNanoseconds((now - finished.sentAt).nanoseconds)
    }

    // MARK: Gaps

    /// The subscription is up: the gap, if there was one, is over. Its cause may become clear now that Redis can be asked.
    func subscriptionIsUp() {
        if gaps.open != nil {
            gaps.end(at: WallClock.millisecondsRoundedUp())
            gapIsUnexplained = true
            gapIsUntold = true
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            gapTimer = eventLoop.scheduleTask(in: Self.explanationPatience) { bound.value.gapIsExplained(nil) }
        }
        canary.removeAll()
        publishGaps { $0.isSubscribed = true }
        sendCanary()
    }

    /// - Parameter since: all that was published before has been received.
    func subscriptionWasLost(_ cause: RedisError, since: NIODeadline) {
        gapIsExplained(nil)
        gaps.begin(from: WallClock.milliseconds(since), cause: cause)
        canary.removeAll()
        publishGaps { $0.isSubscribed = false }
        guard let gap = gaps.open else { return }
        logger.warning(
            "the subscription is lost, messages are missed until it is back",
            metadata: [
                "from": "\(WallClock.text(gap.from))", "cause": "\(gap.cause.rawValue)", "detail": "\(gap.detail)",
            ])
    }

    private func publishGaps(_ change: (inout sending Readiness.State) -> Void) {
        let (closed, open) = (gaps.closed, gaps.open)
        readiness.update { state in
            state.gaps = closed
            state.openGap = open
            state.missingLoops = []
            change(&state)
        }
    }

    /// How long a gap that is over waits for its explanation.
    private static let explanationPatience = TimeAmount.seconds(1)

    /// The cause of the gap that ended last is as clear as it will be.
    ///
    /// - Parameter better: what Redis said of it, if it could be asked.
    func gapIsExplained(_ better: RedisError?) {
        gapTimer?.cancel()
        guard gapIsUnexplained else { return }
        gapIsUnexplained = false
        if let better { gaps.explain(better) }
        publishGaps { _ in }
        guard let gap = gaps.closed.last, let to = gap.to else { return }
        metrics.gapEnded(gap.cause)
        metrics.gapDuration.recordNanoseconds((to - gap.from) * 1_000_000)
        logger.notice(
            "the subscription is back, messages of this interval may have been missed",
            metadata: [
                "from": "\(WallClock.text(gap.from))", "to": "\(WallClock.text(to))", "cause": "\(gap.cause.rawValue)",
                "detail": "\(gap.detail)",
            ])
        if gapIsUntold { tellOfGap() }
        receivedBatch()
    }

    /// Tells the pages that asked: once the cause is clear, or as soon as they would get something else.
    func tellOfGap() {
        gapIsUntold = false
        guard let gap = gaps.closed.last, let to = gap.to else { return }
        let body = EventBody(
            json: Array(#"["ws-emit:gap",{"from":\#(gap.from),"to":\#(to),"cause":"\#(gap.cause.rawValue)"}]"#.utf8))
        for loop in 0..<loopCount { append(.tellOfGap(body), loop: loop) }
    }

    // MARK: Memory

    /// What decoding may keep for ever.
    static let keptScratchBytes = 256 << 10
    private static let memoryInterval = TimeAmount.seconds(10)

    /// Large messages come in bursts: what they took is given back some time later, not for each.
    func startGivingMemoryBack() {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        memoryTimer = eventLoop.scheduleRepeatedTask(
            initialDelay: Self.memoryInterval, delay: Self.memoryInterval
        ) { _ in bound.value.giveMemoryBack() }
    }

    private func giveMemoryBack() {
        let hasFreedMuch = localShard?.allConnections.takeTrim() ?? false
        if hasLargeScratch || decoder.writerBytes > Self.keptScratchBytes {
            hasLargeScratch = false
            decoder.releaseScratch()
        } else if !hasFreedMuch {
            return
        }
        Memory.trim()
    }

    // MARK: Senders

    func log(_ news: SenderTable.News, _ message: PubSubMessage, _ redisChannel: UnsafeRawBufferPointer) {
        var dialect = "unknown"
        switch message {
        case .emit(let emit): dialect = emit.dialect.label
        case .emitForNobody(let written): dialect = written.label
        default: break
        }
        // A flood of senders, which has filled the table, is no news.
        logger.log(
            level: senders.forgotten == 0 ? .info : .debug,
            news == .sender ? "a sender is new on the channel" : "a sender writes in another form than it had shown",
            metadata: [
                "host_id": "\(decoder.senderHostID?.description ?? "none")", "dialect": "\(dialect)",
                "channel": "\(PrintableText.line(redisChannel))",
            ])
    }
}
