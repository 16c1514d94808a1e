import Bytes
import Glibc

/// A recording being written: appended to what is there, rotated by size, compressed by gzip if its name ends so.
final class RecordingFile {
    struct Failure: Error, CustomStringConvertible {
        let description: String
        /// True when the reader of a pipe has closed it.
        var isClosedPipe = false
    }

    private let path: String
    private let rotateAtBytes: Int?
    private let writeHeader: (inout JSONWriter) -> Void
    private let gzip: GzipWriter?
    private var descriptor: CInt = -1
    private var part = 0
    private var sizeBytes = 0
    private var buffer = JSONWriter(capacity: 1 << 17)
    /// The time of the part's header.
    private var origin: Int64 = 0

    /// Opens the file, or its last part, and writes a header.
    ///
    /// - Parameters:
    ///   - path: `-` is standard output.
    ///   - rotateAtBytes: size from which on the next part begins: `path`, `path.1`, `path.2`, or `name.1.gz` of `name.gz`.
    ///   - isNew: overwrites the file if there is one.
    init(
        path: String, rotateAtBytes: Int? = nil, isNew: Bool = false, header: @escaping (inout JSONWriter) -> Void
    ) throws(Failure) {
        self.path = path
        self.rotateAtBytes = rotateAtBytes
        writeHeader = header
        gzip = path.hasSuffix(".gz") ? GzipWriter() : nil
        if rotateAtBytes != nil {
            while unsafe access(name(ofPart: part + 1), F_OK) == 0 { part += 1 }
        }
        try openPart(isNew: isNew)
        try flush()
    }

    /// True when there is a file that would be overwritten.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && status.st_size > 0
    }

    private func name(ofPart part: Int) -> String {
        guard part > 0 else { return path }
        return gzip == nil ? "\(path).\(part)" : "\(path.dropLast(3)).\(part).gz"
    }

    private func openPart(isNew: Bool = false) throws(Failure) {
        if path == "-" {
            descriptor = STDOUT_FILENO
        } else {
            let flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (isNew ? O_TRUNC : 0)
            descriptor = unsafe open(name(ofPart: part), flags, 0o600)
            guard descriptor >= 0 else { throw failure() }
            sizeBytes = max(Int(lseek(descriptor, 0, SEEK_END)), 0)
            if sizeBytes > 0 { try continueAfterCrash() }
        }
        origin = SystemClock.monotonic
        writeHeader(&buffer)
    }

    /// Ends a line that a crash has torn, and in a compressed file first the torn member.
    private func continueAfterCrash() throws(Failure) {
        guard gzip != nil else {
            var last: UInt8 = 0
            guard unsafe pread(descriptor, &last, 1, sizeBytes - 1) == 1 else { throw failure() }
            if last != 0x0A { buffer.append(0x0A) }
            return
        }
        errno = 0
        guard let tail = GzipTail(descriptor: descriptor) else {
            if errno != 0 { throw failure() }
            throw Failure(description: "\(name(ofPart: part)) is there and no gzip file: name another one")
        }
        if tail.soundBytes < sizeBytes || !tail.ending.isEmpty {
            guard ftruncate(descriptor, off_t(tail.soundBytes)) == 0 else { throw failure() }
            sizeBytes = tail.soundBytes
            guard unsafe tail.ending.withUnsafeBytes({ unsafe write($0) }) else { throw failure() }
        }
        if tail.isInLine { buffer.append(0x0A) }
    }

    func append(_ payload: Span<UInt8>, on redisChannel: Span<UInt8>) throws(Failure) {
        RecordingFormat.appendMessage(
            payload, on: redisChannel, microseconds: SystemClock.monotonic - origin, to: &buffer)
        if buffer.count >= Limits.heldBytes { try flush() }
    }

    /// Appends one line, with its line feed.
    func append(_ line: (inout JSONWriter) -> Void) throws(Failure) {
        line(&buffer)
        if buffer.count >= Limits.heldBytes { try flush() }
    }

    func append(_ event: RecordingFormat.GapEvent) throws(Failure) {
        RecordingFormat.append(event, microseconds: SystemClock.monotonic - origin, to: &buffer)
        try flush()
    }

    /// Hands everything to the system, then begins the next part if this one is full.
    func flush() throws(Failure) {
        try writeBuffer(isLast: false)
        guard let rotateAtBytes, sizeBytes >= rotateAtBytes, path != "-" else { return }
        try close()
        part += 1
        sizeBytes = 0
        try openPart()
        try writeBuffer(isLast: false)
    }

    /// Writes what is left and ends the file.
    func close() throws(Failure) {
        try writeBuffer(isLast: true)
        guard path != "-" else { return }
        guard Glibc.close(descriptor) == 0 else { throw failure() }
    }

    private func writeBuffer(isLast: Bool) throws(Failure) {
        guard buffer.count > 0 || isLast else { return }
        let isWritten = unsafe buffer.withUnsafeBytes { bytes in
            guard let gzip else { return unsafe write(bytes) }
            var isWritten = true
            unsafe gzip.write(bytes, isLast: isLast) { isWritten = unsafe isWritten && write($0) }
            return isWritten
        }
        let error = failure()
        buffer.removeAll()
        guard isWritten else { throw error }
    }

    private func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        sizeBytes += bytes.count
        return unsafe FileIO.write(bytes, to: descriptor)
    }

    private func failure() -> Failure {
        Failure(description: "\(name(ofPart: part)): \(SystemError.last)", isClosedPipe: errno == EPIPE)
    }
}
