import Glibc

/// Whole files as bytes.
enum InputFile {
    /// The content of a file, `-` being standard input; nil when it can't be read, with the reason in `SystemError.last`.
    ///
    /// - Parameter maximumBytes: what is longer is read up to somewhere beyond it.
    static func read(_ path: String, maximumBytes: Int = .max) -> [UInt8]? {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while content.count <= maximumBytes {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return content }
            content.append(contentsOf: chunk[..<count])
        }
        return content
    }
}
