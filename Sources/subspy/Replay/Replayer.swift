import Bytes
import JSONCodec
import NIOCore
import PubSubMessages

/// The destination of a replay's messages: Redis, a ws-emit, or the terminal of a dry run.
protocol ReplaySink: AnyObject {
    /// True when the next message can be taken. A sink without room calls `Replayer.proceed` when it has room again.
    var hasRoom: Bool { get }
    /// True when no message that was taken is still under way.
    var isIdle: Bool { get }
    /// The exit code of a replay that came to its end.
    var exitCode: Int32 { get }
    /// The end of the last sentence, after the counts; nil for no last sentence.
    var remarks: String? { get }

    /// Calls `ready` when messages can be taken.
    func start(_ replayer: Replayer, _ ready: @escaping () -> Void)
    func take(_ entry: ReplayEntries.Entry)
    /// Sends the messages that were taken: no others are due now.
    func flush()
}

/// Hands the messages of a recording to a sink, each at its time.
final class Replayer {
    let run: RunLoop
    private let entries: ReplayEntries
    private let pace: ReplayPace
    private let sink: any ReplaySink
    private let progress: Progress
    private var startTime = NIODeadline.now()
    private var waitsForRoom = false
    private var isComplete = false

    init(run: RunLoop, entries: ReplayEntries, pace: ReplayPace, sink: any ReplaySink) {
        self.run = run
        self.entries = entries
        self.pace = pace
        self.sink = sink
        progress = Progress(run)
        progress.remainder = { [weak self] in self?.timeLeft ?? "" }
    }

    /// Messages that have been published.
    var publishedCount: Int { progress.messages }

    func start() {
        run.interrupted = { [self] in end(130) }
        sink.start(self) { [self] in
            startTime = .now()
            progress.start()
            pace.start(at: startTime)
            pump()
        }
    }

    /// Counts published messages.
    func count(_ messages: Int = 1, bytes: Int) { progress.count(messages, bytes: bytes) }

    /// Goes on after the sink had no room, or ends.
    ///
    /// - Parameter delay: the time that the sink was away: all later messages come later by it.
    func proceed(delay: TimeAmount = .zero) {
        pace.delay(by: delay)
        if isComplete, sink.isIdle { return end(0) }
        if waitsForRoom { pump() }
    }

    /// Hands over the messages that are due, then waits for the next one's time or for room.
    private func pump() {
        waitsForRoom = false
        do throws(RecordingReader.Failure) {
            while run.exitCode == nil {
                guard sink.hasRoom else {
                    waitsForRoom = true
                    return sink.flush()
                }
                switch try pace.next(at: .now(), from: { () throws(RecordingReader.Failure) in try entries.next() }) {
                case .due(let entry): sink.take(entry)
                case .later(let time):
                    sink.flush()
                    _ = run.eventLoop.assumeIsolated().scheduleTask(deadline: time) { [self] in pump() }
                    return
                case .end:
                    isComplete = true
                    sink.flush()
                    if sink.isIdle { end(0) }
                    return
                }
            }
        } catch {
            sink.flush()
            StandardError.say("\(error)")
            end(65)
        }
    }

    func end(_ code: Int32) {
        guard run.exitCode == nil else { return }
        if let remarks = sink.remarks {
            let refused = entries.refusedCount == 0 ? "" : "; \(entries.refusedCount) could not be rewritten"
            progress.finish("published \(progress.summary)\(remarks)\(refused)")
        }
        run.end(code == 0 ? sink.exitCode : code)
    }

    /// By the part of the file that has been read, at the speed so far.
    private var timeLeft: String? {
        guard let part = entries.progress, part > 0 else { return nil }
        let seconds = Double((NIODeadline.now() - startTime).nanoseconds) / 1e9 * (1 - part) / part
        let whole = Int(min(seconds.rounded(.up), 1e9))
        let (hours, minutes) = (whole / 3600, whole / 60 % 60)
        return ", "
            + (hours > 0 ? "\(hours) h \(minutes) min" : minutes > 0 ? "\(minutes) min \(whole % 60) s" : "\(whole) s")
            + " left"
    }
}

/// Prints the messages of a replay: time after its start in seconds, channel, message.
final class DryRunSink: ReplaySink {
    private let output: LineOutput
    private var renderer = MessageRenderer(MessageReader())

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
        unsafe time.withUnsafeBytes { unsafe output.append(spelled: $0) }
        output.append(entry.redisChannel, entry.payload, &renderer)
    }

    func flush() { output.flush() }
}
