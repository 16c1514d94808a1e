import Glibc
import JSONCodec

/// A recording being written: appended to what is there, rotated by size.
final class RecordingFile {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let path: String
    private let rotateAtBytes: Int?
    private let channels: [String]
    private let patterns: [String]
    private var descriptor: CInt = -1
    private var part = 0
    private var sizeBytes = 0
    private var buffer = JSONWriter(capacity: 1 << 17)
    /// When the part's header was written.
    private var origin: Int64 = 0

    /// Opens the file, or its last part, and writes a header.
    ///
    /// - Parameters:
    ///   - path: `-` is standard output.
    ///   - rotateAtBytes: size from which on the next part begins: `path`, `path.1`, `path.2`.
    init(path: String, rotateAtBytes: Int?, channels: [String], patterns: [String]) throws(Failure) {
        self.path = path
        self.rotateAtBytes = rotateAtBytes
        self.channels = channels
        self.patterns = patterns
        if rotateAtBytes != nil {
            while access(name(ofPart: part + 1), F_OK) == 0 { part += 1 }
        }
        try openPart()
        try flush()
    }

    private func name(ofPart part: Int) -> String { part == 0 ? path : "\(path).\(part)" }

    private func openPart() throws(Failure) {
        if path == "-" {
            descriptor = STDOUT_FILENO
        } else {
            descriptor = open(name(ofPart: part), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw failure() }
            try endTornLine()
        }
        origin = Self.now()
        RecordingFormat.appendHeader(channels: channels, patterns: patterns, to: &buffer)
    }

    /// A crash may have left a line without its end: what follows begins a new one.
    private func endTornLine() throws(Failure) {
        sizeBytes = Int(lseek(descriptor, 0, SEEK_END))
        guard sizeBytes > 0 else { return }
        var last: UInt8 = 0
        guard pread(descriptor, &last, 1, sizeBytes - 1) == 1 else { throw failure() }
        if last != 0x0A { buffer.append(0x0A) }
    }

    func append(_ payload: UnsafeRawBufferPointer, on redisChannel: UnsafeRawBufferPointer) throws(Failure) {
        RecordingFormat.appendMessage(
            payload, on: redisChannel, microseconds: Self.now() - origin, to: &buffer)
        if buffer.count >= 1 << 16 { try flush() }
    }

    func appendLoss(_ cause: String) throws(Failure) {
        RecordingFormat.appendLoss(cause, microseconds: Self.now() - origin, to: &buffer)
        try flush()
    }

    func appendReturn() throws(Failure) {
        RecordingFormat.appendReturn(microseconds: Self.now() - origin, to: &buffer)
        try flush()
    }

    /// Hands everything to the system, then begins the next part if this one is full.
    func flush() throws(Failure) {
        try write()
        guard let rotateAtBytes, sizeBytes >= rotateAtBytes, path != "-" else { return }
        close(descriptor)
        part += 1
        sizeBytes = 0
        try openPart()
        try write()
    }

    private func write() throws(Failure) {
        var isWritten = true
        buffer.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let slice = UnsafeRawBufferPointer(rebasing: rest)
                let count = Glibc.write(descriptor, slice.baseAddress, slice.count)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else {
                    isWritten = false
                    return
                }
                rest = rest.dropFirst(count)
                sizeBytes += count
            }
        }
        let error = failure()
        buffer.removeAll()
        guard isWritten else { throw error }
    }

    private func failure() -> Failure { Failure(description: "\(name(ofPart: part)): \(SystemError.last)") }

    /// Microseconds of the monotonic clock.
    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
