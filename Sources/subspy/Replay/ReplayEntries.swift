import PubSubMessages

/// The messages of a recording that are to be replayed, with the time of each after the start of the replay.
final class ReplayEntries {
    /// One message to be published.
    struct Entry {
        /// Since the first message, at the recorded speed, in microseconds.
        let microseconds: Int64
        let redisChannel: String
        let payload: [UInt8]
    }

    private let options: ReplayCommand
    private let filter: MessageFilter
    private let inspector = MessageInspector()
    private var renderer = MessageRenderer()
    private var reader: RecordingReader
    private var count = 0
    /// The recorded time of the message before, and its time in the replay.
    private var recordedBefore: Int64?
    private var replayedBefore: Int64 = 0
    private var hasWarned = false
    private var countAtStartOfRound = 0

    init(options: ReplayCommand) throws(RecordingReader.Failure) {
        self.options = options
        filter = MessageFilter(options.filter)
        reader = try RecordingReader(path: options.file)
    }

    /// The next message, nil at the end.
    func next() throws(RecordingReader.Failure) -> Entry? {
        if let limit = options.limit, count >= limit { return nil }
        while true {
            guard let entry = try reader.next(), isBeforeEnd(entry) else {
                warnOfDamage()
                // A round without any message would go on for ever.
                guard options.loop, count > countAtStartOfRound else { return nil }
                countAtStartOfRound = count
                reader = try RecordingReader(path: options.file)
                recordedBefore = nil
                continue
            }
            guard isAfterBeginning(entry), isMeant(entry.payload) else { continue }
            count += 1
            return Entry(
                microseconds: time(of: entry), redisChannel: options.channel ?? entry.redisChannel,
                payload: entry.payload)
        }
    }

    private func isAfterBeginning(_ entry: RecordingReader.Entry) -> Bool {
        options.from.map { Duration.microseconds(entry.microseconds) >= $0 } ?? true
    }

    private func isBeforeEnd(_ entry: RecordingReader.Entry) -> Bool {
        options.to.map { Duration.microseconds(entry.microseconds) < $0 } ?? true
    }

    private func time(of entry: RecordingReader.Entry) -> Int64 {
        var gap = entry.microseconds - (recordedBefore ?? entry.microseconds)
        if let maxGap = options.maxGap, Duration.microseconds(gap) > maxGap {
            gap = Int64(maxGap / .microseconds(1))
        }
        recordedBefore = entry.microseconds
        replayedBefore += gap
        return replayedBefore
    }

    private func isMeant(_ payload: [UInt8]) -> Bool {
        guard filter.accepts(byteCount: payload.count) else { return false }
        guard filter.needsMessage else { return filter.drawsLot() }
        return payload.withUnsafeBytes { bytes in
            let inspection = inspector.inspect(bytes)
            guard filter.accepts(inspection.summary) else { return false }
            if filter.needsText {
                renderer.render(bytes, inspection.form, of: inspector)
                guard renderer.withBytes({ filter.accepts(text: $0, payload: bytes) }) else { return false }
            }
            return filter.drawsLot()
        }
    }

    private func warnOfDamage() {
        guard reader.damagedLines > 0, !hasWarned else { return }
        hasWarned = true
        let others = reader.damagedLines == 1 ? "" : " and \(reader.damagedLines - 1) more"
        StandardError.say("line \(reader.firstDamagedLine)\(others) of \(options.file) can't be read and was passed over")
    }
}
