import Glibc

/// A file read line by line, compressed by gzip or not, without ever holding the whole of it.
@safe final class LineFile {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let path: String
    private let descriptor: CInt
    private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
    /// The unread bytes in it, and the count of those known to hold no line feed.
    private var unread = 0..<0
    private var searched = 0
    private var isAtEnd = false
    /// Bytes of the file before decompression, where that is needed.
    private var compressed: [UInt8] = []
    private var gzip: GzipReader?
    private var hasLooked = false
    /// Bytes read of the file so far.
    private(set) var position = 0

    /// - Parameter path: `-` is standard input.
    init(path: String) throws(Failure) {
        self.path = path
        descriptor = unsafe path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(description: "\(path): \(SystemError.last)") }
    }

    deinit {
        if descriptor > STDIN_FILENO { close(descriptor) }
        unsafe buffer.deallocate()
    }

    /// True when compressed data broke off or could not be read to its end.
    var isTorn: Bool { isAtEnd && gzip.map { $0.state != .complete } ?? false }

    /// The file's size in bytes; nil for a pipe.
    var size: Int? {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }

    /// The next line without its line feed, valid until the next call; nil at the end.
    func next() throws(Failure) -> UnsafeRawBufferPointer? {
        while true {
            let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffer[unread])
            if let start = bytes.baseAddress, let feed = unsafe memchr(start + searched, 0x0A, bytes.count - searched) {
                let count = unsafe start.distance(to: UnsafeRawPointer(feed))
                unread = unread.lowerBound + count + 1..<unread.upperBound
                searched = 0
                return unsafe UnsafeRawBufferPointer(rebasing: bytes[..<count])
            }
            if isAtEnd {
                unread = unread.upperBound..<unread.upperBound
                searched = 0
                return unsafe bytes.isEmpty ? nil : bytes
            }
            searched = bytes.count
            try fill()
        }
    }

    private func fill() throws(Failure) {
        if unsafe unread.upperBound == buffer.count { try makeRoom() }
        let count = try unsafe read(UnsafeMutableRawBufferPointer(rebasing: buffer[unread.upperBound...]))
        if count == 0 { isAtEnd = true }
        unread = unread.lowerBound..<unread.upperBound + count
    }

    private func makeRoom() throws(Failure) {
        guard unread.count < Limits.lineBytes else { throw Failure(description: "\(path): a line without an end") }
        let size = unsafe unread.count > buffer.count / 2 ? buffer.count * 2 : buffer.count
        let larger = unsafe size == buffer.count ? buffer : .allocate(byteCount: size, alignment: 16)
        if let target = larger.baseAddress, let source = unsafe buffer.baseAddress {
            unsafe memmove(target, source + unread.lowerBound, unread.count)
        }
        if unsafe size != buffer.count { unsafe buffer.deallocate() }
        unsafe buffer = unsafe larger
        unread = 0..<unread.count
    }

    /// Reads bytes of the text; 0 at the end.
    private func read(_ space: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
        if !hasLooked { try lookForGzip() }
        guard let gzip else {
            if compressed.isEmpty { return try unsafe readFile(space) }
            // These bytes were read to see whether it is gzip.
            unsafe space.copyBytes(from: compressed)
            defer { compressed = [] }
            return compressed.count
        }
        while true {
            let (taken, written) = unsafe compressed.withUnsafeBytes { unsafe gzip.read($0, into: space) }
            compressed.removeFirst(taken)
            if written > 0 || gzip.state == .damaged { return written }
            if compressed.isEmpty, try !readCompressed() { return 0 }
        }
    }

    private func lookForGzip() throws(Failure) {
        hasLooked = true
        while compressed.count < 2, try readCompressed() {}
        if compressed.starts(with: [0x1F, 0x8B]) { gzip = GzipReader() }
    }

    /// Reads more; false at the end.
    private func readCompressed() throws(Failure) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        var result: Result<Int, Failure> = .success(0)
        unsafe chunk.withUnsafeMutableBytes { space in
            do throws(Failure) { result = unsafe .success(try readFile(space)) } catch { result = .failure(error) }
        }
        let count = try result.get()
        compressed.append(contentsOf: chunk[..<count])
        return count > 0
    }

    private func readFile(_ space: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
        guard let count = unsafe FileIO.read(descriptor, into: space) else {
            throw Failure(description: "\(path): \(SystemError.last)")
        }
        position += count
        return count
    }
}
