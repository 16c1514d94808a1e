import Glibc
import NIOCore
import PubSubMessages
import RedisPubSub

/// Prints counts to standard error: a line every interval (`--stats`), and a summary at the end.
///
/// The summary is printed where somebody reads it: on a terminal, or with `--stats`. Standard output is never used, and a
/// script that collects standard error of `subspy` without options gets nothing.
final class TrafficReport {
    private let run: RunLoop
    private let interval: Duration?
    private let summarizes: Bool
    private var counts = TrafficCounts()

    init(_ run: RunLoop, every interval: Duration?) {
        self.run = run
        self.interval = interval
        summarizes = interval != nil || isatty(STDERR_FILENO) == 1
    }

    func count(_ inspection: MessageInspector.Inspection, bytes: Int) {
        if summarizes { counts.count(inspection, bytes: bytes) }
    }

    func subscriptionChanged(_ state: SubscriptionState) {
        if counts.subscriptionChanged(state, at: run.eventLoop.now), let interval { tick(interval) }
    }

    private func tick(_ interval: Duration) {
        run.after(interval) { [self] in
            counts.refresh(at: run.eventLoop.now)
            let formats = counts.formatList
            StandardError.say("\(counts.tally.rates); \(totals)" + (formats.isEmpty ? "" : "; \(formats)"))
            tick(interval)
        }
    }

    /// Prints the summary, unless there was no subscription or nobody reads it.
    func summarize() {
        guard summarizes, let start = counts.start else { return }
        // Overwrites the ^C of the terminal.
        if isatty(STDERR_FILENO) == 1 { _ = unsafe Glibc.write(STDERR_FILENO, "\r", 1) }
        let now = run.eventLoop.now
        var average = counts.tally.sinceStart
        average.refresh(after: now - start)
        StandardError.say("\(totals) in \(Quantity.seconds(now - start)) s: \(average.rates)")
        let lists = [counts.methodList, counts.formatList].filter { !$0.isEmpty }
        if !lists.isEmpty { StandardError.say(lists.joined(separator: "; ")) }
        if let sentence = counts.outages.sentence(at: now) { StandardError.say(sentence) }
    }

    private var totals: String {
        "\(Quantity.messages(counts.tally.messages)), \(Quantity.bytes(Double(counts.tally.bytes))), "
            + "\(counts.undecodable) undecodable"
    }
}
