import JSONCodec
import Glibc
import NIOCore

/// How far a long run is: one line that is rewritten each second, on a terminal only, and one sentence at the end.
final class Progress {
    private let run: Run
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private(set) var hasStarted = false
    private(set) var messages = 0
    private(set) var bytes = 0
    private var messagesBefore = 0
    /// What follows the numbers on the line.
    var remainder: () -> String = { "" }

    init(_ run: Run) {
        self.run = run
    }

    func start() {
        guard !hasStarted else { return }
        hasStarted = true
        if isTerminal { tick() }
    }

    @inline(__always) func count(_ messages: Int = 1, bytes: Int) {
        self.messages += messages
        self.bytes += bytes
    }

    var summary: String { "\(messages) \(messages == 1 ? "message" : "messages"), \(bytes) bytes" }

    private func tick() {
        run.after(.seconds(1)) { [self] in
            // Back to the start of the line, and what stood there erased.
            write("\r\u{1B}[K" + PrintableText.line("\(summary), \(messages - messagesBefore)/s\(remainder())"))
            messagesBefore = messages
            tick()
        }
    }

    /// Says the last word.
    func finish(_ sentence: String) {
        if isTerminal { write("\r\u{1B}[K") }
        StandardError.say(sentence)
    }

    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
