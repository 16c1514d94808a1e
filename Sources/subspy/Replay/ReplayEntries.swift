import Bytes
import PubSubMessages

/// The messages of a recording that a replay publishes, each with its time after the start of the replay.
final class ReplayEntries {
    /// One message to be published.
    struct Entry {
        /// Since the first message, at the recorded speed, in microseconds.
        let microseconds: Int64
        let redisChannel: ByteString
        let payload: [UInt8]
    }

    // Copied from the options: their property wrappers take more time than a message.
    private let path: String
    private let isLooping: Bool
    private let limit: Int
    private let redisChannel: ByteString?
    private let recordedTimes: Range<Int64>
    private let maximumGap: Int64
    private let rewriter: MessageRewriter?
    private let filter: MessageFilter
    private var reader: RecordingReader
    private var count = 0
    /// The recorded time of the message before, and its time in the replay.
    private var recordedBefore: Int64?
    private var replayedBefore: Int64 = 0
    private var hasWarned = false
    /// The count of messages that could not be rewritten.
    private(set) var refusedCount = 0
    private var countAtStartOfRound = 0

    init(options: ReplayCommand) throws(RecordingReader.Failure) {
        func microseconds(_ time: Duration) -> Int64 { Int64(time / .microseconds(1)) }
        path = options.file
        isLooping = options.loop
        limit = options.limit ?? Int.max
        redisChannel = options.channel.map { ByteString($0) }
        recordedTimes = (options.from.map(microseconds) ?? 0)..<(options.to.map(microseconds) ?? Int64.max)
        maximumGap = options.maxGap.map(microseconds) ?? Int64.max
        rewriter = options.rewriting.isEmpty ? nil : MessageRewriter(options.rewriting)
        filter = MessageFilter(options.filter)
        reader = try RecordingReader(path: options.file)
    }

    /// The next message, nil at the end.
    func next() throws(RecordingReader.Failure) -> Entry? {
        guard count < limit else { return nil }
        while true {
            guard let entry = try reader.next(), entry.microseconds < recordedTimes.upperBound else {
                warnOfDamage()
                // A round without any message would never end.
                guard isLooping, count > countAtStartOfRound else { return nil }
                countAtStartOfRound = count
                reader = try RecordingReader(path: path)
                recordedBefore = nil
                continue
            }
            guard entry.microseconds >= recordedTimes.lowerBound,
                unsafe entry.payload.withUnsafeBytes({ unsafe filter.accepts($0) }), filter.isSampled(),
                let payload = rewritten(entry.payload)
            else { continue }
            count += 1
            return Entry(
                microseconds: time(of: entry), redisChannel: redisChannel ?? entry.redisChannel, payload: payload)
        }
    }

    /// nil for a message that can't be rewritten.
    private func rewritten(_ payload: [UInt8]) -> [UInt8]? {
        guard let rewriter else { return payload }
        do {
            return try rewriter.rewrite(payload)
        } catch {
            if refusedCount == 0 { StandardError.say("a message can't be rewritten and is left out: \(error)") }
            refusedCount += 1
            return nil
        }
    }

    private func time(of entry: RecordingReader.Entry) -> Int64 {
        let gap = min(entry.microseconds - (recordedBefore ?? entry.microseconds), maximumGap)
        recordedBefore = entry.microseconds
        replayedBefore += gap
        return replayedBefore
    }

    /// The part of the file that has been read, from 0 to 1; nil for a pipe or when it is read over and over.
    var progress: Double? {
        guard !isLooping, let size = reader.file.size, size > 0 else { return nil }
        return min(Double(reader.file.position) / Double(size), 1)
    }

    private func warnOfDamage() {
        guard let damage = reader.damage, !hasWarned else { return }
        hasWarned = true
        StandardError.say(damage)
    }
}
