import NIOCore
import RedisPubSub

/// Publishes messages and finally prints how many subscribers Redis counted.
///
/// | code | meaning |
/// |---|---|
/// | 0 | each message reached a subscriber |
/// | 3 | one or more reached none |
/// | 65 | a line of the input was no JSON; the others were published |
/// | 75 | the connection broke while some were under way, which may or may not have been published; the others were |
/// | 77 | Redis refused PUBLISH |
final class Publisher {
    private let session: RedisSession
    private let redisChannel: String
    private let output = LineOutput()
    private var publishedCount = 0
    private var unheardCount = 0
    private var refusedCount = 0
    private var uncertainCount = 0
    private var subscribers: ClosedRange<Int>?
    private var waitingCount = 0
    private var isComplete = false
    /// Called when there is room for more.
    var wantsMore: () -> Void = {}

    init(session: RedisSession, redisChannel: String) {
        self.session = session
        self.redisChannel = redisChannel
        session.run.interrupted = { [weak self] in self?.finish() }
    }

    /// True when the next message should wait for `wantsMore`.
    var isFull: Bool { waitingCount >= Limits.unansweredMessages }

    func publish(_ payload: [UInt8]) {
        waitingCount += 1
        session.publish(payload, to: redisChannel) { [self] result in
            waitingCount -= 1
            switch result {
            case .success(let count): noteReply(count)
            case .failure(let error):
                if uncertainCount == 0 { StandardError.say("a message may not have been published: \(error)") }
                if case .refused = error { return end(77) }
                guard session.isPatient else { return end(75) }
                uncertainCount += 1
            }
            if isComplete, waitingCount == 0 {
                finish()
            } else if waitingCount == Limits.unansweredMessages / 2 {
                wantsMore()
            }
        }
    }

    private func noteReply(_ count: Int) {
        publishedCount += 1
        if count == 0 { unheardCount += 1 }
        subscribers = subscribers.map { min($0.lowerBound, count)...max($0.upperBound, count) } ?? count...count
    }

    /// No more messages follow.
    func complete() {
        isComplete = true
        if waitingCount == 0 { finish() }
    }

    /// Counts a message that could not be encoded.
    func noteRefusal() { refusedCount += 1 }

    private func finish() { end(uncertainCount > 0 ? 75 : refusedCount > 0 ? 65 : unheardCount > 0 ? 3 : 0) }

    private func end(_ code: Int32) {
        guard session.run.exitCode == nil else { return }
        if let subscribers {
            let counts =
                subscribers.count == 1
                ? "\(subscribers.lowerBound)" : "\(subscribers.lowerBound) to \(subscribers.upperBound)"
            output.append(
                "\(Quantity.messages(publishedCount)), \(counts) \(counts == "1" ? "subscriber" : "subscribers")")
            output.endLine()
            output.flush()
        }
        if uncertainCount > 1 { StandardError.say("\(uncertainCount) messages may not have been published") }
        if unheardCount > 0 {
            let which = publishedCount == 1 ? "it" : unheardCount == publishedCount ? "they" : "\(unheardCount) of them"
            StandardError.say("\(which) reached nobody: nothing is subscribed to \(redisChannel)")
        }
        session.run.end(code)
    }
}
