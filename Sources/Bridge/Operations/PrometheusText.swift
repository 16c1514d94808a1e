import Bytes

/// Prometheus's text exposition format, version 0.0.4.
struct PrometheusText: Sendable {
    enum Kind: String, Sendable { case counter, gauge, histogram }

    static let contentType = "text/plain; version=0.0.4; charset=utf-8"
    private(set) var text = ""

    init() {}

    /// The two lines before the samples of a family.
    mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
    }

    mutating func sample(_ name: String, _ labels: [(String, String)] = [], _ value: Double) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0.0)=\"\(Self.escaped($0.1, quotes: true))\"" }.joined(separator: ",") + "}"
        }
        // Whole numbers are written without a fraction, as is usual for counters.
        text += value.magnitude < 1e15 && value == value.rounded() ? " \(Int(value))\n" : " \(value)\n"
    }

    /// A family of one sample without labels.
    mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        family(name, kind, help)
        sample(name, [], value)
    }

    /// A counter with a sample for each value of a label.
    mutating func counters(_ name: String, _ help: String, label: String, _ counts: [(key: String, value: Int)]) {
        family(name, .counter, help)
        for (value, count) in counts { sample(name, [(label, value)], Double(count)) }
    }

    mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        family(name, .histogram, help)
        var cumulative = 0
        for (bound, count) in zip(Histogram.bounds, histogram.counts) {
            cumulative += count
            sample(name + "_bucket", [("le", "\(bound)")], Double(cumulative))
        }
        sample(name + "_bucket", [("le", "+Inf")], Double(histogram.count))
        sample(name + "_sum", [], histogram.sum)
        sample(name + "_count", [], Double(histogram.count))
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        // Strangers choose the names in labels.
        let text = quotes ? PrintableText.line(text) : text
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
