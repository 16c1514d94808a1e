import ArgumentParser
import Glibc
import JSONCodec
import PubSubMessages
import RedisPubSub

/// Prints the channel; the default command.
struct SniffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sniff",
        abstract: "Prints the messages on the channel (the default).",
        discussion: """
            Each message is one line: Python's repr of what it holds, whether it came as a pickle or as JSON. Nothing in a \
            pickle is ever executed. First comes the list of channels with subscribers, then one line for each \
            subscription. On a terminal the default is --output pretty.

            --event, --room and the like take a glob (room-*) or a regular expression between slashes (/^room-[0-9]+$/); \
            given several times, any of them is enough, and each --not-… excludes.

            Fields of --format:
            \(LineFormat.help)

            Exit codes: 0 when the event of --until or the number of --count was reached, or without them at the end; 1 when \
            the run ended before (--duration, --idle), 130 when it was interrupted; 69 without Redis and with --no-wait.

            Examples:
              subspy --event update --room 'time' --count 10
              subspy --output json --redact password | jq .message.data
              subspy --format '%T %e %r %d\\n' --timestamps delta
              subspy --until ready --duration 30s && echo ready
              subspy --stats 10 --output json > messages.jsonl
              subspy --raw --count 1 > message && python3 -m pickletools message
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var source: ChannelOptions
    @OptionGroup(title: "Filters") var filter: FilterOptions
    @OptionGroup(title: "Stopping") var stopping: StopOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    @Option(time: "Print rates and totals to standard error this often, and a summary at the end.")
    var stats: Duration?

    func run() throws {
        let url = try connection.url(channel: source.channels.first)
        try connection.run(url) { Sniffer(session: $0, options: self).start() }
    }
}

/// The channels to listen to.
struct ChannelOptions: ParsableArguments {
    @Option(help: .init("Redis channel; repeatable. (default: \(Defaults.redisChannel))", valueName: "name"))
    var channel: [String] = []

    @Option(help: .init("Glob of Redis channels, in Redis's own syntax; repeatable.", valueName: "glob"))
    var pattern: [String] = []

    var channels: [String] { channel.isEmpty && pattern.isEmpty ? [Defaults.redisChannel] : channel }

    func validate() throws {
        guard !channel.contains("") else { throw ValidationError("--channel must not be empty") }
        guard !pattern.contains("") else { throw ValidationError("--pattern must not be empty") }
    }
}

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
            output: output, reader: filter.reader, options: options.output,
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
                unsafe name.withUnsafeBytes { unsafe repr.append(bytes: $0) }
            }
            repr.append("]")
            unsafe repr.output.withUnsafeBytes { unsafe output.append(spelled: $0) }
            output.endLine()
            output.flush()
            listen()
        }
    }

    private func listen() {
        session.listen(channels: channels, patterns: patterns, delegate: self)
    }

    // MARK: PubSubDelegate

    func received(_ payload: Span<UInt8>, on redisChannel: Span<UInt8>) {
        unsafe payload.withUnsafeBytes { payload in
            unsafe redisChannel.withUnsafeBytes { unsafe show(payload, on: $0) }
        }
    }

    /// - Parameter payload: valid until this returns; the filter's reader keeps it for the printer.
    private func show(_ payload: UnsafeRawBufferPointer, on redisChannel: UnsafeRawBufferPointer) {
        guard run.exitCode == nil, let inspection = unsafe filter.inspect(payload) else { return }
        statistics.count(inspection, bytes: payload.count)
        guard filter.isSampled() else { return }
        shownCount += 1
        unsafe printer.print(
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
