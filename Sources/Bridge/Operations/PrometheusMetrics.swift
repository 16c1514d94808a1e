import CoreMetrics
import Synchronization

/// A backend of swift-metrics that keeps every metric in memory and writes them in Prometheus's text format.
///
/// For rare events: each metric has its own lock or atomic. Events per message are counted by plain integers on the event loops,
/// which ``MetricsPage`` adds up on request.
///
/// | swift-metrics | Prometheus |
/// |---|---|
/// | Counter | counter |
/// | Timer, Recorder that aggregates | histogram; a timer's in seconds |
/// | Gauge (a recorder that doesn't aggregate) | gauge |
package final class PrometheusMetrics: MetricsFactory {
    private struct Key: Hashable { let label: String, dimensions: [String] }

    private enum Metric {
        case counter(CounterStore)
        case gauge(GaugeStore)
        case histogram(HistogramStore)
    }

    private struct Entry {
        let label: String
        let dimensions: [(String, String)]
        let metric: Metric
    }

    private struct State {
        var indexes: [Key: Int] = [:]
        var entries: [Entry] = []
    }

    private let state = Mutex(State())
    private let help: [String: String]

    /// - Parameter help: the meaning of each label, for the HELP lines.
    package init(help: [String: String] = [:]) { self.help = help }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        let metric = metric(label, dimensions) { .counter(CounterStore()) }
        if case .counter(let store) = metric { return store }
        return CounterStore()
    }

    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        let metric = metric(label, dimensions) { aggregate ? .histogram(HistogramStore()) : .gauge(GaugeStore()) }
        switch metric {
        case .gauge(let store): return store
        case .histogram(let store): return store
        case .counter: return GaugeStore()
        }
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        let metric = metric(label, dimensions) { .histogram(HistogramStore()) }
        if case .histogram(let store) = metric { return store }
        return HistogramStore()
    }

    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    /// Equal labels and dimensions are the same metric, as swift-metrics requires. If a label is in use for another kind of metric,
    /// the caller has made a mistake, and the new values aren't shown.
    private func metric(_ label: String, _ dimensions: [(String, String)], make: () -> Metric) -> Metric {
        state.withLock { state in
            let key = Key(label: label, dimensions: dimensions.flatMap { [$0.0, $0.1] })
            if let index = state.indexes[key] { return state.entries[index].metric }
            let metric = make()
            state.indexes[key] = state.entries.count
            state.entries.append(Entry(label: label, dimensions: dimensions, metric: metric))
            return metric
        }
    }

    /// Writes every metric, grouped by label.
    package func write(to text: inout PrometheusText) {
        let entries = state.withLock { $0.entries }
        var seen: Set<String> = []
        for first in entries where seen.insert(first.label).inserted {
            let family = entries.filter { $0.label == first.label }
            let kind: PrometheusText.Kind =
                switch first.metric {
                case .counter: .counter
                case .gauge: .gauge
                case .histogram: .histogram
                }
            text.family(first.label, kind, help[first.label] ?? first.label)
            for entry in family {
                switch entry.metric {
                case .counter(let store): text.sample(entry.label, entry.dimensions, Double(store.value))
                case .gauge(let store): text.sample(entry.label, entry.dimensions, store.value)
                case .histogram(let store): store.write(entry.label, entry.dimensions, to: &text)
                }
            }
        }
    }
}

private final class CounterStore: CounterHandler {
    private let count = Atomic<Int64>(0)
    var value: Int64 { count.load(ordering: .relaxed) }
    func increment(by amount: Int64) { count.wrappingAdd(amount, ordering: .relaxed) }
    func reset() { count.store(0, ordering: .relaxed) }
}

private final class GaugeStore: RecorderHandler {
    private let last = Mutex(0.0)
    var value: Double { last.withLock { $0 } }
    func record(_ value: Int64) { record(Double(value)) }
    func record(_ value: Double) { last.withLock { $0 = value } }
}

/// Counts values below fixed bounds; from half a millisecond, a round trip on one machine, to a minute.
private final class HistogramStore: RecorderHandler, TimerHandler {
    private static let bounds = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]
    private struct State {
        var counts = [Int](repeating: 0, count: HistogramStore.bounds.count)
        var sum = 0.0
        var count = 0
    }
    private let state = Mutex(State())

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
    func record(_ value: Int64) { record(Double(value)) }
    func record(_ value: Double) {
        state.withLock { state in
            if let index = Self.bounds.firstIndex(where: { value <= $0 }) { state.counts[index] += 1 }
            state.sum += value
            state.count += 1
        }
    }

    func write(_ label: String, _ dimensions: [(String, String)], to text: inout PrometheusText) {
        let state = state.withLock { $0 }
        var cumulative = 0
        for (bound, count) in zip(Self.bounds, state.counts) {
            cumulative += count
            text.sample(label + "_bucket", dimensions + [("le", "\(bound)")], Double(cumulative))
        }
        text.sample(label + "_bucket", dimensions + [("le", "+Inf")], Double(state.count))
        text.sample(label + "_sum", dimensions, state.sum)
        text.sample(label + "_count", dimensions, Double(state.count))
    }
}
