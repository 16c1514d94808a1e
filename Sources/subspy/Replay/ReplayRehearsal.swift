import PubSubMessages

/// Prints what a replay would publish: time after its start in seconds, channel, message.
final class ReplayRehearsal {
    private let run: Run
    private let entries: ReplayEntries
    private let output = LineOutput()
    private let inspector = MessageInspector()
    private var renderer = MessageRenderer()

    init(run: Run, entries: ReplayEntries) {
        self.run = run
        self.entries = entries
    }

    func start() {
        output.ended = { [weak run] failure in run?.end(failure == nil ? 0 : 74) }
        do throws(RecordingReader.Failure) {
            while run.exitCode == nil, let entry = try entries.next() { print(entry) }
        } catch {
            StandardError.say("\(error)")
            run.end(65)
        }
        output.flush()
        run.end(0)
    }

    private func print(_ entry: ReplayEntries.Entry) {
        let fraction = String(entry.microseconds % 1_000_000)
        let zeros = String(repeating: "0", count: 6 - fraction.utf8.count)
        output.append("+\(entry.microseconds / 1_000_000).\(zeros)\(fraction) ")
        output.append(name: entry.redisChannel)
        output.append(" ")
        renderer.render(entry.payload, by: inspector)
        renderer.withBytes { output.append(spelled: $0) }
        output.endLine()
    }
}
