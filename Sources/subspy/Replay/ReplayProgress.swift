import NIOCore

/// How far a replay is, and what is said of it in the end.
final class ReplayProgress {
    let entries: ReplayEntries
    private let progress: Progress
    private var startTime = NIODeadline.now()

    init(_ run: Run, _ entries: ReplayEntries) {
        self.entries = entries
        progress = Progress(run)
        progress.remainder = { [weak self] in self?.timeLeft ?? "" }
    }

    var messages: Int { progress.messages }

    func start() {
        startTime = .now()
        progress.start()
    }

    func count(_ messages: Int = 1, bytes: Int) { progress.count(messages, bytes: bytes) }

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

    /// Says the last word.
    func finish(_ remarks: String) {
        let refused = entries.refusedCount == 0 ? "" : "; \(entries.refusedCount) could not be rewritten"
        progress.finish("published \(progress.summary)\(remarks)\(refused)")
    }
}
