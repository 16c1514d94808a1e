import Bytes
import PubSubMessages

/// Prints the messages of a replay: time after its start in seconds, channel, message.
final class DryRunSink: ReplaySink {
    private let output: LineOutput
    private let inspector = MessageInspector()
    private var renderer = MessageRenderer()

    let hasRoom = true
    let isIdle = true
    let exitCode: Int32 = 0
    let remarks: String? = nil

    init(_ run: RunLoop) {
        output = LineOutput(run)
    }

    func start(_ replayer: Replayer, _ ready: @escaping () -> Void) { ready() }

    func take(_ entry: ReplayEntries.Entry) {
        var time = JSONWriter(capacity: 32)
        time.append("+")
        time.append(seconds: entry.microseconds)
        time.append(" ")
        time.withUnsafeBytes { output.append(spelled: $0) }
        output.append(entry.redisChannel, entry.payload, by: inspector, &renderer)
    }

    func flush() { output.flush() }
}
