import ArgumentParser
import Bytes
import Glibc

/// Colours of the output, or none.
struct Palette {
    /// The values of `--color`.
    enum Choice: String, CaseIterable, ExpressibleByArgument { case auto, always, never }

    enum Color {
        case key, text, word, event, quiet, warning, heading

        fileprivate var sequence: StaticString {
            switch self {
            case .key: "\u{1B}[36m"
            case .text: "\u{1B}[32m"
            case .word: "\u{1B}[33m"
            case .event: "\u{1B}[1m"
            case .quiet: "\u{1B}[2m"
            case .warning: "\u{1B}[31m"
            case .heading: "\u{1B}[1m"
            }
        }
    }

    let hasColors: Bool

    /// - Parameter choice: `auto` means a terminal with colours, unless `NO_COLOR` is set (no-color.org).
    init(_ choice: Choice) {
        switch choice {
        case .always: hasColors = true
        case .never: hasColors = false
        case .auto:
            hasColors = Terminal.isCapable && getenv("NO_COLOR").map { $0.pointee == 0 } ?? true
        }
    }

    func begin(_ color: Color, _ writer: inout JSONWriter) { if hasColors { writer.append(color.sequence) } }
    func end(_ writer: inout JSONWriter) { if hasColors { writer.append("\u{1B}[0m") } }

    func append(_ text: String, _ color: Color, to writer: inout JSONWriter) {
        begin(color, &writer)
        writer.append(text: text)
        end(&writer)
    }
}

extension JSONWriter {
    /// Appends a text on one line: what can't be printed is escaped, because parts of it may be from outside.
    mutating func append(text: String) {
        var text = text
        text.withUTF8 { PrintableText.append(UnsafeRawBufferPointer($0), to: &self, escapesBackslashes: false) }
    }
}
