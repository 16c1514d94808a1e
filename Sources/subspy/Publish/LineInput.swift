@preconcurrency import Dispatch
import Glibc
import NIOCore

/// Standard input line by line, read on a thread of its own and handed over on the loop.
final class LineInput {
    private let run: RunLoop
    private let gate = DispatchSemaphore(value: 1)
    /// One line without its line feed.
    private let line: ([UInt8]) -> Void
    private let end: () -> Void
    private var rest: [UInt8] = []
    private var isPaused = false
    private var hasEnded = false

    init(_ run: RunLoop, line: @escaping ([UInt8]) -> Void, end: @escaping () -> Void) {
        self.run = run
        self.line = line
        self.end = end
    }

    func start() {
        let (gate, loop, bound) = (gate, run.eventLoop, NIOLoopBound(self, eventLoop: run.eventLoop))
        DispatchQueue.global().async {
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                // Signalled when all lines of the last chunk have been handed over.
                gate.wait()
                let count = chunk.withUnsafeMutableBytes { FileIO.read(STDIN_FILENO, into: $0) } ?? 0
                let bytes = Array(chunk[..<count])
                loop.execute { bound.value.take(bytes) }
                if count == 0 { return }
            }
        }
    }

    /// Hands over no more lines until `resume`; may be called from within a line.
    func pause() { isPaused = true }

    func resume() {
        guard isPaused else { return }
        isPaused = false
        drain()
    }

    private func take(_ bytes: [UInt8]) {
        if bytes.isEmpty { hasEnded = true } else { rest += bytes }
        drain()
    }

    private func drain() {
        guard run.exitCode == nil else { return }
        var start = 0
        while !isPaused, let feed = rest[start...].firstIndex(of: 0x0A) {
            line(Array(rest[start..<feed]))
            start = feed + 1
        }
        rest.removeFirst(start)
        guard !isPaused else { return }
        guard hasEnded else {
            gate.signal()
            return
        }
        if !rest.isEmpty { line(rest) }
        end()
    }
}
