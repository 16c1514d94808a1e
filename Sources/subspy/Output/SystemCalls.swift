import Glibc

/// Errors of system calls in the system's words.
enum SystemError {
    static func text(of number: CInt) -> String {
        unsafe strerror(number).map { unsafe String(cString: $0) } ?? "error \(number)"
    }

    /// The reason why the last call failed.
    static var last: String { text(of: errno) }
}

/// Reading and writing that goes on after a signal.
enum FileIO {
    /// Reads once.
    ///
    /// - Returns: the count of bytes, 0 at the end; nil on failure, with the reason in `errno`.
    static func read(_ descriptor: CInt, into space: UnsafeMutableRawBufferPointer) -> Int? {
        while true {
            let count = unsafe Glibc.read(descriptor, space.baseAddress, space.count)
            if count >= 0 { return count }
            guard errno == EINTR else { return nil }
        }
    }

    /// Writes all bytes; false on failure, with the reason in `errno`.
    ///
    /// - Parameter waits: goes on when a pipe that doesn't block has room again.
    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: CInt, waits: Bool = true) -> Bool {
        var rest = unsafe bytes[...]
        while unsafe !rest.isEmpty {
            let slice = unsafe UnsafeRawBufferPointer(rebasing: rest)
            let count = unsafe Glibc.write(descriptor, slice.baseAddress, slice.count)
            if count >= 0 {
                unsafe rest = unsafe rest.dropFirst(count)
            } else if errno == EAGAIN, waits {
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = unsafe poll(&entry, 1, -1)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }

    /// Writes a text once, for messages that nobody has to see.
    static func write(_ text: String, to descriptor: CInt) {
        var text = text
        _ = text.withUTF8 { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }
}

/// Whole files as bytes.
enum InputFile {
    /// The content of a file, `-` being standard input; nil when it can't be read, with the reason in `SystemError.last`.
    ///
    /// - Parameter maximumBytes: reading stops soon after this many bytes.
    static func read(_ path: String, maximumBytes: Int = .max) -> [UInt8]? {
        let descriptor = unsafe path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while content.count <= maximumBytes {
            guard let count = unsafe chunk.withUnsafeMutableBytes({ unsafe FileIO.read(descriptor, into: $0) }) else {
                return nil
            }
            if count == 0 { break }
            content.append(contentsOf: chunk[..<count])
        }
        return content
    }

    /// The same, for commands that end when their input can't be read.
    static func content(of path: String, maximumBytes: Int = .max) throws(CommandFailure) -> [UInt8] {
        guard let content = read(path, maximumBytes: maximumBytes) else {
            throw CommandFailure(66, "\(path): \(SystemError.last)")
        }
        return content
    }
}
