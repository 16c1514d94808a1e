import Bytes
import ArgumentParser
import Glibc
import JSONCodec

/// The terminal that standard output is.
enum Terminal {
    /// Rows and columns; nil when standard output is no terminal or doesn't know.
    static var size: (rows: Int, columns: Int)? {
        var size = winsize()
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return nil
        }
        return (Int(size.ws_row), Int(size.ws_col))
    }

    /// True when standard output is a terminal with colours and cursor movement.
    static var isCapable: Bool {
        unsafe isatty(STDOUT_FILENO) == 1 && getenv("TERM").map { unsafe strcmp($0, "dumb") != 0 } ?? false
    }

    /// Columns to write into: the terminal's, or what `COLUMNS` says; nil for a pipe without it.
    static var columns: Int? {
        unsafe size?.columns
            ?? getenv("COLUMNS").flatMap { unsafe Int(String(cString: $0)) }.flatMap { $0 > 0 ? $0 : nil }
    }
}

/// Colours of the output, or none.
struct Palette {
    /// The values of `--color`.
    enum Choice: String, CaseIterable, ExpressibleByArgument { case auto, always, never }

    enum Color {
        case key, text, word, quiet, warning, heading

        fileprivate var sequence: StaticString {
            switch self {
            case .key: "\u{1B}[36m"
            case .text: "\u{1B}[32m"
            case .word: "\u{1B}[33m"
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
            hasColors = unsafe Terminal.isCapable && getenv("NO_COLOR").map { unsafe $0.pointee == 0 } ?? true
        }
    }

    /// Appends what `body` appends, in a colour; nil for the terminal's own.
    func paint(_ color: Color?, _ writer: inout JSONWriter, _ body: (inout JSONWriter) -> Void) {
        guard hasColors, let color else { return body(&writer) }
        writer.append(color.sequence)
        body(&writer)
        writer.append("\u{1B}[0m")
    }
}

extension ByteString {
    /// The beginning of a name from outside, on one line.
    func printable(maximumBytes: Int) -> String {
        var writer = JSONWriter(capacity: 64)
        unsafe withUnsafeBytes {
            unsafe PrintableText.append(UnsafeRawBufferPointer(rebasing: $0.prefix(maximumBytes)), to: &writer)
        }
        return unsafe writer.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }
}

extension JSONWriter {
    /// Appends a text on one line: what can't be printed is escaped, because parts of it may be from outside.
    mutating func append(text: String) {
        var text = text
        text.withUTF8 { unsafe PrintableText.append(UnsafeRawBufferPointer($0), to: &self, escapesBackslashes: false) }
    }
}
