import Bytes
import Glibc
import NIOCore

/// Shows the progress of a long run: on a terminal a line that is rewritten each second, and one sentence at the end.
final class Progress {
    /// Goes back to the start of the line and erases it.
    private static let clear = "\r\u{1B}[K"

    private let run: RunLoop
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private(set) var hasStarted = false
    private(set) var messages = 0
    private(set) var bytes = 0
    private var messagesBefore = 0
    /// The text after the numbers.
    var remainder: () -> String = { "" }

    init(_ run: RunLoop) {
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

    var summary: String { "\(Quantity.messages(messages)), \(bytes) bytes" }

    private func tick() {
        run.after(Limits.refreshInterval) { [self] in
            let line = PrintableText.line("\(summary), \(messages - messagesBefore)/s\(remainder())")
            FileIO.write(Self.clear + line, to: STDERR_FILENO)
            messagesBefore = messages
            tick()
        }
    }

    /// Replaces the line by a sentence.
    func finish(_ sentence: String) {
        if isTerminal { FileIO.write(Self.clear, to: STDERR_FILENO) }
        StandardError.say(sentence)
    }
}
