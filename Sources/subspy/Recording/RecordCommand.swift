import ArgumentParser
import PubSubMessages
import RedisPubSub

/// Keeps every message in a file.
struct RecordCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "record",
        abstract: "Records the channel in a file, for replay.",
        discussion: """
            The file is lines of JSON: a header, then each message's exact bytes with its channel and its time in
            microseconds. It is compressed when its name ends in .gz. An existing file is appended to, also after a crash.
            When Redis drops the subscription, the gap is recorded and reported.

            Examples:
              subspy record monday.jsonl --rotate 100M
              subspy record hour.jsonl.gz --duration 1h
              subspy record errors.jsonl --event 'error*' --count 100
            """)

    @Argument(help: "File to append to, or - for standard output.", completion: .file())
    var file: String

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var source: ChannelOptions
    @OptionGroup(title: "Filters") var filter: FilterOptions
    @OptionGroup(title: "Stopping") var stopping: StopOptions

    @Option(bytes: "Size at which the next file begins: FILE, FILE.1, FILE.2, ..., or NAME.1.gz of NAME.gz.")
    var rotate: Int?

    func validate() throws {
        guard !file.isEmpty else { throw ValidationError("the file must have a name") }
        if let rotate {
            guard file != "-" else { throw ValidationError("--rotate needs a file") }
            guard rotate >= Limits.leastRotationBytes else { throw ValidationError("--rotate must be at least 1k") }
        }
    }

    func run() throws {
        let url = try connection.url(channel: source.channels.first)
        let recording: RecordingFile
        do {
            let (channels, patterns) = (source.channels, source.pattern)
            recording = try RecordingFile(path: file, rotateAtBytes: rotate) {
                RecordingFormat.appendHeader(channels: channels, patterns: patterns, to: &$0)
            }
        } catch {
            throw CommandFailure(73, "\(error)")
        }
        try connection.run(url) { Recorder(run: $0.run, recording: recording, options: self).start($0) }
    }
}

/// Writes the messages on the channels into a recording.
final class Recorder: PubSubDelegate {
    private let run: RunLoop
    private let recording: RecordingFile
    private let channels: [String]
    private let patterns: [String]
    private let filter: MessageFilter
    private let needsSummary: Bool
    private let progress: Progress
    private var condition: StopCondition?
    private var gapCount = 0
    private var isInGap = false
    /// The recorded cause of the last gap.
    private var lossCause: RedisError?

    init(run: RunLoop, recording: RecordingFile, options: RecordCommand) {
        self.run = run
        self.recording = recording
        channels = options.source.channels
        patterns = options.source.pattern
        filter = MessageFilter(options.filter)
        needsSummary = options.stopping.until != nil
        progress = Progress(run)
        condition = StopCondition(options.stopping, run: run) { [weak self] code in self?.end(code) }
    }

    func start(_ session: RedisSession) {
        session.whenConnected { [self] in
            session.listen(channels: channels, patterns: patterns, delegate: self)
        }
    }

    // MARK: PubSubDelegate

    func received(_ payload: Span<UInt8>, on redisChannel: Span<UInt8>) {
        guard run.exitCode == nil else { return }
        var summary = MessageSummary()
        if needsSummary {
            guard let inspection = unsafe payload.withUnsafeBytes({ unsafe filter.inspect($0) }) else { return }
            summary = inspection.summary
        } else {
            guard unsafe payload.withUnsafeBytes({ unsafe filter.accepts($0) }) else { return }
        }
        guard filter.isSampled() else { return }
        attempt { try recording.append(payload, on: redisChannel) }
        progress.count(bytes: payload.count)
        condition?.shown(summary)
    }

    func receivedBatch() {
        attempt { try recording.flush() }
    }

    func subscriptionChanged(_ state: SubscriptionState) {
        switch state {
        case .subscribed:
            if isInGap { append(.subscribed) }
            isInGap = false
            condition?.subscribed()
        case .lost(let cause, _):
            guard progress.hasStarted else { return }
            isInGap = true
            lossCause = cause
            gapCount += 1
            StandardError.say("messages are being missed until Redis is back: \(cause)")
            append(.lost("\(cause)"))
        }
        progress.start()
    }

    func subscriptionLossExplained(_ loss: SubscriptionLoss) {
        // The cause is known already, or of no interest.
        guard gapCount > 0, loss.cause != lossCause, loss.cause != .restarted else { return }
        append(.cause("\(loss.cause)"))
    }

    private func append(_ event: RecordingFormat.GapEvent) {
        attempt { try recording.append(event) }
    }

    private func attempt(_ body: () throws -> Void) {
        do {
            try body()
        } catch {
            guard run.exitCode == nil else { return }
            let isClosedPipe = (error as? RecordingFile.Failure)?.isClosedPipe == true
            if !isClosedPipe { StandardError.say("\(error)") }
            run.end(isClosedPipe ? 0 : 74)
        }
    }

    private func end(_ code: Int32) {
        attempt { try recording.close() }
        let gaps = gapCount == 0 ? "" : gapCount == 1 ? ", with 1 gap" : ", with \(gapCount) gaps"
        progress.finish("recorded \(progress.summary)\(gaps)")
        run.end(code)
    }
}
