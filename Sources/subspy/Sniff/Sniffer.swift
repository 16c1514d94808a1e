import Bytes
import Glibc
import PubSubMessages
import RedisPubSub

/// Prints the messages on the channels, from the first subscription to the end of the run.
final class Sniffer: PubSubDelegate {
    private let run: RunLoop
    private let session: RedisSession
    private let channels: [String]
    private let patterns: [String]
    private let filter: MessageFilter
    private let output: LineOutput
    private let printer: MessagePrinter
    private let statistics: TrafficReport
    private var condition: StopCondition?
    private var shownCount = 0

    init(session: RedisSession, options: SniffCommand) {
        self.session = session
        let run = session.run
        self.run = run
        channels = options.source.channels
        patterns = options.source.pattern
        filter = MessageFilter(options.filter)
        output = LineOutput(run)
        printer = MessagePrinter(
            output: output, inspector: filter.inspector, options: options.output,
            showsChannel: channels.count + patterns.count > 1 || !patterns.isEmpty)
        statistics = TrafficReport(run, every: options.stats)
        condition = StopCondition(options.stopping, run: run) { [output, statistics] code in
            output.flush()
            // Nothing is said when flushing has found the pipe closed.
            if run.exitCode == nil { statistics.summarize() }
            run.end(code)
        }
        output.watchReader()
    }

    /// Prints the channels with subscribers, then subscribes: the order of the original.
    func start() {
        printer.printHeading()
        output.flush()
        guard printer.printsSubscriptions else {
            return session.isPatient ? listen() : session.whenConnected { [self] in listen() }
        }
        session.activeChannels { [self] names in
            var repr = PythonRepr()
            repr.append("All channels: [")
            for (index, name) in names.enumerated() {
                if index > 0 { repr.append(", ") }
                name.withUnsafeBytes { repr.append(bytes: $0) }
            }
            repr.append("]")
            repr.output.withUnsafeBytes { output.append(spelled: $0) }
            output.endLine()
            output.flush()
            listen()
        }
    }

    private func listen() {
        session.listen(channels: channels, patterns: patterns, delegate: self)
    }

    // MARK: PubSubDelegate

    func received(_ payload: UnsafeRawBufferPointer, on redisChannel: UnsafeRawBufferPointer) {
        guard run.exitCode == nil, let inspection = filter.inspect(payload) else { return }
        statistics.count(inspection, bytes: payload.count)
        guard filter.isSampled() else { return }
        shownCount += 1
        printer.print(
            ShownMessage(payload: payload, redisChannel: redisChannel, inspection: inspection, number: shownCount))
        condition?.shown(inspection.summary)
    }

    func receivedBatch() { output.flush() }

    /// Redis confirms each subscription with its number, which the original prints, also after reconnecting.
    func subscriptionChanged(_ state: SubscriptionState) {
        statistics.subscriptionChanged(state)
        guard state == .subscribed else { return }
        if printer.printsSubscriptions {
            for number in 1...max(channels.count + patterns.count, 1) {
                output.append("INT: \(number)")
                output.endLine()
            }
            output.flush()
        }
        condition?.subscribed()
    }
}
