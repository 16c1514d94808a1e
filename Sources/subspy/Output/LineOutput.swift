import Bytes
import Glibc
import PubSubMessages

/// Standard output, written in whole lines at the end of each burst of messages.
final class LineOutput {
    private var buffer = JSONWriter(capacity: 1 << 16)
    /// Ended when the reader of the pipe has gone, or when writing fails.
    private let run: RunLoop?
    private var hasEnded = false

    init(_ run: RunLoop? = nil) {
        self.run = run
    }

    /// Appends the output of a renderer or a table, in which every text from outside is printable, and payloads for `--raw`.
    func append(spelled bytes: UnsafeRawBufferPointer) { unsafe buffer.append(raw: bytes) }

    /// Appends a text from anywhere: unprintable characters are escaped, line feeds too.
    func append(_ text: String) { buffer.append(text: text) }

    /// Appends a name from outside.
    func append(name: ByteString) { unsafe name.withUnsafeBytes { unsafe PrintableText.append($0, to: &buffer) } }

    /// Appends the rest of a line: a channel and the message that was published there.
    func append(_ redisChannel: ByteString, _ payload: [UInt8], _ renderer: inout MessageRenderer) {
        append(name: redisChannel)
        append(" ")
        renderer.inspectAndRender(payload)
        unsafe renderer.withBytes { unsafe append(spelled: $0) }
        endLine()
    }

    /// Appends a text of several lines.
    func append(lines text: String) {
        var text = text
        text.withUTF8 {
            unsafe PrintableText.append(
                UnsafeRawBufferPointer($0), to: &buffer, keepsLines: true, escapesBackslashes: false)
        }
    }

    func endLine() {
        buffer.append(UInt8(ascii: "\n"))
        writeIfFull()
    }

    /// Writes the buffer out when it has grown large within a burst.
    func writeIfFull() {
        if buffer.count >= Limits.heldBytes { flush() }
    }

    /// Writes everything out; waits while the reader of a pipe is slow.
    func flush() {
        defer { buffer.removeAll() }
        guard !hasEnded else { return }
        let isWritten = unsafe buffer.withUnsafeBytes { unsafe FileIO.write($0, to: STDOUT_FILENO) }
        if !isWritten { end(errno) }
    }

    private func end(_ failure: CInt) {
        guard !hasEnded else { return }
        hasEnded = true
        guard let run else { return }
        if failure != EPIPE { StandardError.say("standard output: \(SystemError.text(of: failure))") }
        run.end(failure == EPIPE ? 0 : 74)
    }

    /// Checks at intervals that the reader of the pipe is still there: on a quiet channel no write would fail.
    func watchReader() {
        run?.after(Limits.refreshInterval) { [self] in
            var entry = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
            if unsafe poll(&entry, 1, 0) > 0, entry.revents & Int16(POLLERR) != 0 { return end(EPIPE) }
            watchReader()
        }
    }
}
