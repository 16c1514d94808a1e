import JSONCodec
import NIOCore
import PubSubMessages

/// What has passed, added up. Time is an argument.
struct TrafficCounts {
    private(set) var messages = 0
    private(set) var bytes = 0
    private(set) var undecodable = 0
    /// In the interval before the last `refresh`.
    private(set) var messagesPerSecond = 0.0
    private(set) var bytesPerSecond = 0.0
    private var before = (messages: 0, bytes: 0)
    private var lastRefresh: NIODeadline?
    private var methods: [ByteString: Int] = [:]
    private var forms: [WireForm: Int] = [:]

    /// Methods that are told apart; python-socketio has six, and whoever publishes can invent more.
    private static let maximumMethods = 16

    mutating func count(_ inspection: MessageInspector.Inspection, bytes count: Int) {
        messages += 1
        bytes += count
        forms[inspection.wireForm, default: 0] += 1
        if case .undecodable = inspection.form { return undecodable += 1 }
        var method = inspection.summary.method ?? "(no method)"
        if methods[method] == nil, methods.count >= Self.maximumMethods { method = "(others)" }
        methods[method, default: 0] += 1
    }

    /// Computes the rates since the last call; the first one starts the clock.
    mutating func refresh(at now: NIODeadline) {
        if let lastRefresh {
            let seconds = max(Double((now - lastRefresh).nanoseconds) / 1e9, 1e-6)
            messagesPerSecond = Double(messages - before.messages) / seconds
            bytesPerSecond = Double(bytes - before.bytes) / seconds
        }
        before = (messages, bytes)
        lastRefresh = now
    }

    /// `emit 12, close_room 1`, the largest first.
    var methodList: String { Self.list(methods.map { (Self.name($0.key), $0.value) }) }

    /// `pickle 4: 12, JSON 5.15.1+: 1`, the largest first; what can't be decoded is told elsewhere.
    var formList: String {
        Self.list(forms.filter { $0.key != .undecodable }.map { ("\($0.key):", $0.value) })
    }

    private static func list(_ counts: [(name: String, count: Int)]) -> String {
        counts.sorted { ($1.count, $0.name) < ($0.count, $1.name) }.map { "\($0.name) \($0.count)" }
            .joined(separator: ", ")
    }

    private static func name(_ method: ByteString) -> String {
        var writer = JSONWriter(capacity: 64)
        method.withUnsafeBytes { PrintableText.append(UnsafeRawBufferPointer(rebasing: $0.prefix(40)), to: &writer) }
        return writer.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}

/// Numbers as people read them.
enum Quantity {
    /// `178 B`, `1.8 kB`, `22 MB`: units of a thousand.
    static func bytes(_ count: Double) -> String {
        var (value, unit) = (count, "B")
        for larger in ["kB", "MB", "GB", "TB"] where value >= 999.5 { (value, unit) = (value / 1000, larger) }
        return "\(significant(value, isWhole: unit == "B")) \(unit)"
    }

    /// `0.4`, `12`, `10,032`.
    static func rate(_ value: Double) -> String { value < 9.95 ? tenths(value) : grouped(Int(value.rounded())) }

    /// `0.3`, `59.9`, `12:07`, `3:05:00`: seconds, minutes and hours.
    static func seconds(_ duration: Duration) -> String {
        let value = max(Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18, 0)
        if value < 59.95 { return tenths(value) }
        let whole = Int(value.rounded())
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        if whole < 3600 { return "\(whole / 60):\(two(whole % 60))" }
        return "\(whole / 3600):\(two(whole / 60 % 60)):\(two(whole % 60))"
    }

    /// `1,234,567`.
    static func grouped(_ number: Int) -> String {
        let digits = Array(String(number))
        return String(
            digits.enumerated().flatMap { index, digit in
                index > 0 && (digits.count - index) % 3 == 0 && digits[index - 1] != "-" ? [",", digit] : [digit]
            })
    }

    private static func significant(_ value: Double, isWhole: Bool) -> String {
        isWhole || value >= 99.5 ? "\(Int(value.rounded()))" : tenths(value)
    }

    private static func tenths(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
