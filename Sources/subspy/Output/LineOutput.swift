import Glibc
import JSONCodec

/// Standard output, written in whole lines: once for each burst of messages, never later.
final class LineOutput {
    private var buffer = JSONWriter(capacity: 1 << 16)
    /// Called once when the reader of the pipe has gone (nil), or writing failed with this error number.
    var ended: (CInt?) -> Void = { _ in }
    private var hasEnded = false

    /// Bytes that are held back at most within a burst.
    private static let maximumHeld = 1 << 16

    /// Appends what a renderer, a table or a picture has spelled, in which everything from outside is printable; and bytes that
    /// were asked for as they are.
    func append(spelled bytes: UnsafeRawBufferPointer) { buffer.append(raw: bytes) }

    /// Appends a text, wherever it comes from: what can't be printed is escaped, line feeds too.
    func append(_ text: String) { buffer.append(text: text) }

    /// Appends a name from outside.
    func append(name: ByteString) { name.withUnsafeBytes { PrintableText.append($0, to: &buffer) } }

    /// Appends a text of several lines.
    func append(lines text: String) {
        var text = text
        text.withUTF8 {
            PrintableText.append(
                UnsafeRawBufferPointer($0), to: &buffer, keepsLines: true, escapesBackslashes: false)
        }
    }

    func endLine() {
        buffer.append(UInt8(ascii: "\n"))
        writeIfFull()
    }

    /// Writes out what has grown large within a burst.
    func writeIfFull() {
        if buffer.count >= Self.maximumHeld { flush() }
    }

    /// Writes everything out; waits while the reader of a pipe is slow.
    func flush() {
        defer { buffer.removeAll() }
        guard !hasEnded else { return }
        let failure: CInt? = buffer.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let slice = UnsafeRawBufferPointer(rebasing: rest)
                let count = Glibc.write(STDOUT_FILENO, slice.baseAddress, slice.count)
                if count < 0 {
                    if errno == EINTR { continue }
                    if errno == EAGAIN {
                        var entry = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
                        _ = poll(&entry, 1, -1)
                        continue
                    }
                    return errno
                }
                rest = rest.dropFirst(count)
            }
            return nil
        }
        if let failure { end(failure) }
    }

    private func end(_ failure: CInt) {
        guard !hasEnded else { return }
        hasEnded = true
        ended(failure == EPIPE ? nil : failure)
    }

    /// Looks once a second whether the reader of the pipe is still there: on a quiet channel no write would tell.
    func watchReader(_ run: Run) {
        run.after(.seconds(1)) { [self] in
            var entry = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
            if poll(&entry, 1, 0) > 0, entry.revents & Int16(POLLERR) != 0 { return end(EPIPE) }
            watchReader(run)
        }
    }
}
