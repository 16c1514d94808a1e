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
    private var outages = Outages()
    private var start: NIODeadline?

    init(_ run: RunLoop, every interval: Duration?) {
        self.run = run
        self.interval = interval
        summarizes = interval != nil || isatty(STDERR_FILENO) == 1
    }

    func count(_ inspection: MessageInspector.Inspection, bytes: Int) {
        if summarizes { counts.count(inspection, bytes: bytes) }
    }

    func subscriptionChanged(_ state: SubscriptionState) {
        outages.note(state, at: run.eventLoop.now)
        guard state == .subscribed, start == nil else { return }
        start = run.eventLoop.now
        counts.refresh(at: run.eventLoop.now)
        if let interval { tick(interval) }
    }

    private func tick(_ interval: Duration) {
        run.after(interval) { [self] in
            counts.refresh(at: run.eventLoop.now)
            let rates = Self.text(counts.tally.messagesPerSecond, counts.tally.bytesPerSecond)
            let formats = counts.formatList
            StandardError.say("\(rates); \(totals)" + (formats.isEmpty ? "" : "; \(formats)"))
            tick(interval)
        }
    }

    /// Prints the summary, unless there was no subscription or nobody reads it.
    func summarize() {
        guard summarizes, let start else { return }
        // Overwrites the ^C of the terminal.
        if isatty(STDERR_FILENO) == 1 { _ = Glibc.write(STDERR_FILENO, "\r", 1) }
        let now = run.eventLoop.now
        let duration = now - start
        let seconds = max(Double(duration.nanoseconds) / 1e9, 1e-6)
        StandardError.say(
            "\(totals) in \(Quantity.seconds(.nanoseconds(duration.nanoseconds))) s: "
                + Self.text(Double(counts.tally.messages) / seconds, Double(counts.tally.bytes) / seconds))
        let lists = [counts.methodList, counts.formatList].filter { !$0.isEmpty }
        if !lists.isEmpty { StandardError.say(lists.joined(separator: "; ")) }
        if let sentence = outages.sentence(at: now) { StandardError.say(sentence) }
    }

    private var totals: String {
        "\(Quantity.messages(counts.tally.messages)), \(Quantity.bytes(Double(counts.tally.bytes))), "
            + "\(counts.undecodable) undecodable"
    }

    private static func text(_ messagesPerSecond: Double, _ bytesPerSecond: Double) -> String {
        "\(Quantity.rate(messagesPerSecond)) messages/s, \(Quantity.bytes(bytesPerSecond))/s"
    }
}

/// The times without a subscription after the first one: messages published then are not known.
struct Outages {
    private(set) var count = 0
    private var total: TimeAmount = .zero
    private(set) var since: NIODeadline?
    private var hasBegun = false

    mutating func note(_ state: SubscriptionState, at now: NIODeadline) {
        switch state {
        case .subscribed:
            if let since { total = total + (now - since) }
            since = nil
            hasBegun = true
        case .lost(_, let loss):
            guard hasBegun, since == nil else { return }
            count += 1
            since = loss
        }
    }

    /// `the subscription was lost once, for 3.1 s`; nil if it never was.
    func sentence(at now: NIODeadline) -> String? {
        guard count > 0 else { return nil }
        let sum = since.map { total + (now - $0) } ?? total
        let times = count == 1 ? "once" : "\(count) times"
        return "the subscription was lost \(times), for \(Quantity.seconds(.nanoseconds(sum.nanoseconds))) s: "
            + "what was published then is missing"
    }
}
