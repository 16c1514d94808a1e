import Glibc
import JSONCodec
import PubSubMessages
import RedisPubSub

/// Prints what passes on the channels, from the first subscription to the end of the run.
final class Sniffer: PubSubDelegate {
    private let run: Run
    private let session: RedisSession
    private let channels: [String]
    private let patterns: [String]
    private let output = LineOutput()
    private let printer: MessagePrinter
    private let inspector = MessageInspector()

    init(run: Run, session: RedisSession, channels: [String], patterns: [String]) {
        self.run = run
        self.session = session
        self.channels = channels
        self.patterns = patterns
        printer = MessagePrinter(output: output)
        output.ended = { [weak run] failure in
            if let failure { StandardError.say("standard output: \(strerror(failure).map { String(cString: $0) } ?? "")") }
            run?.end(failure == nil ? 0 : 74)
        }
    }

    /// Says who is there, then subscribes: the order of the original.
    func start() {
        session.activeChannels { [self] names in
            var repr = PythonRepr()
            repr.append("All channels: [")
            for (index, name) in names.enumerated() {
                if index > 0 { repr.append(", ") }
                name.withUnsafeBytes { repr.append(bytes: $0) }
            }
            repr.append("]")
            repr.output.withUnsafeBytes { output.append($0) }
            output.endLine()
            output.flush()
            session.listen(channels: channels, patterns: patterns, delegate: self)
        }
    }

    // MARK: PubSubDelegate

    func received(_ payload: UnsafeRawBufferPointer, on redisChannel: UnsafeRawBufferPointer) {
        guard run.exitCode == nil else { return }
        let inspection = inspector.inspect(payload)
        printer.print(payload, inspection.form, of: inspector)
    }

    func receivedBatch() { output.flush() }

    /// Redis confirms each subscription with its number, which the original prints, also after reconnecting.
    func subscriptionChanged(_ state: SubscriptionState) {
        guard state == .subscribed else { return }
        for number in 1...max(channels.count + patterns.count, 1) {
            output.append("INT: \(number)")
            output.endLine()
        }
        output.flush()
    }
}
