import Bytes

/// Prometheus's text exposition format, version 0.0.4.
package struct PrometheusText: Sendable {
    package enum Kind: String, Sendable { case counter, gauge, histogram }

    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"
    package private(set) var text = ""

    package init() {}

    /// The two lines before the samples of a family.
    package mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
    }

    package mutating func sample(_ name: String, _ labels: [(String, String)] = [], _ value: Double) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0.0)=\"\(Self.escaped($0.1, quotes: true))\"" }.joined(separator: ",") + "}"
        }
        // Whole numbers are written without a fraction, as is usual for counters.
        text += value.magnitude < 1e15 && value == value.rounded() ? " \(Int(value))\n" : " \(value)\n"
    }

    /// A family of one sample without labels.
    package mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        family(name, kind, help)
        sample(name, [], value)
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
