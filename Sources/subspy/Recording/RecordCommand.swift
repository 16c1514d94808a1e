import ArgumentParser

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

    @Option(
        help: ArgumentHelp(
            "Size at which the next file begins: FILE, FILE.1, FILE.2, ..., or NAME.1.gz of NAME.gz.",
            valueName: "bytes"),
        transform: ByteCount.parse)
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
