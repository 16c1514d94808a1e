import Glibc

/// Reads the files of one directory. Nothing outside it can be reached, and no huge file is read whole.
struct Directory: Sendable {
    let path: String

    /// Most files in the list, since nobody reads a longer one. The others are counted.
    static let shownFiles = 1000
    /// Bytes sent of a file: its end, where logs grow. Each change sends them again.
    static let shownBytes = 64 << 10

    struct File: Hashable, Sendable {
        let size: Int
        /// Milliseconds since 1970.
        let modified: Int
        /// These differ when the content may differ.
        let inode: UInt
        let times: [Int]
    }

    /// A file for the page; `problem` is set instead of a text that can't be shown.
    struct Content: Hashable, Encodable, Sendable {
        let id: String
        let size: Int
        var text: String?
        var problem: String?
    }

    enum Refusal: Error { case noName, notThere }

    /// The first regular files by name, by id, and the number of other entries.
    ///
    /// Links aren't followed; folders and devices aren't shown.
    func files() throws(SystemError) -> (shown: [String: File], others: Int) {
        // Opens the directory each time, because another one of the same name may replace it.
        guard let entries = opendir(path) else { throw SystemError() }
        defer { closedir(entries) }
        var names: [[UInt8]] = []
        var others = 0
        while let entry = readdir(entries) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name == Array(".".utf8) || name == Array("..".utf8) { continue }
            // Some file systems don't report the kind here.
            let kind = Int(entry.pointee.d_type)
            if kind == DT_REG || kind == DT_UNKNOWN { names.append(name) } else { others += 1 }
        }
        names.sort { $0.lexicographicallyPrecedes($1) }
        var shown: [String: File] = [:]
        for name in names.prefix(Self.shownFiles) {
            var status = stat()
            // Skips a file that was just deleted.
            guard fstatat(dirfd(entries), name.map(CChar.init(bitPattern:)) + [0], &status, AT_SYMLINK_NOFOLLOW) == 0
            else { continue }
            guard status.st_mode & S_IFMT == S_IFREG else {
                others += 1
                continue
            }
            let (modified, changed) = (status.st_mtim, status.st_ctim)
            shown[FileID.encode(name)] = File(
                size: status.st_size, modified: modified.tv_sec * 1000 + modified.tv_nsec / 1_000_000,
                inode: UInt(status.st_ino),
                times: [modified.tv_sec, modified.tv_nsec, changed.tv_sec, changed.tv_nsec])
        }
        return (shown, others + max(0, names.count - Self.shownFiles))
    }

    func read(_ id: String) throws(Refusal) -> Content {
        let name = FileID.decode(id)
        guard !name.isEmpty, name != Array(".".utf8), name != Array("..".utf8), !name.contains(0),
            !name.contains(UInt8(ascii: "/"))
        else { throw .noName }
        let folder = open(path, O_RDONLY | O_DIRECTORY)
        guard folder >= 0 else { throw .notThere }
        defer { close(folder) }
        // The name may have become a link or a FIFO since it was listed: doesn't follow the one or wait for the other.
        let file = openat(folder, name.map(CChar.init(bitPattern:)) + [0], O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else {
            let error = SystemError()
            if error.number == ENOENT { throw .notThere }
            return Content(id: id, size: 0, problem: "it can't be opened: \(error)")
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return Content(id: id, size: 0, problem: "it is no regular file")
        }
        let start = max(0, status.st_size - Self.shownBytes)
        let data = [UInt8](unsafeUninitializedCapacity: Self.shownBytes) { buffer, count in
            count = max(0, pread(file, buffer.baseAddress, Self.shownBytes, start))
        }
        var content = Content(id: id, size: status.st_size)
        content.text = Self.text(data, isCut: start > 0)
        if content.text == nil { content.problem = "it is binary, not UTF-8 text" }
        return content
    }

    private static func text(_ data: [UInt8], isCut: Bool) -> String? {
        var data = data[...]
        // The cut may split a character; its continuation bytes are all 10xxxxxx.
        if isCut { data = data.prefix(3).drop { $0 & 0xC0 == 0x80 } + data.dropFirst(3) }
        if let text = String(validating: data, as: UTF8.self) { return text.utf8.contains(0) ? nil : text }
        // A writer may have written only half of the last character.
        guard let lead = data.suffix(3).lastIndex(where: { $0 >= 0xC0 }),
            data[lead] >= [0xC0, 0xC0, 0xE0, 0xF0][data.endIndex - lead]
        else { return nil }
        return String(validating: data[..<lead], as: UTF8.self).flatMap { $0.utf8.contains(0) ? nil : $0 }
    }
}

/// The error of a system call.
struct SystemError: Error, CustomStringConvertible {
    let number = errno
    var description: String { String(cString: strerror(number)) }
}
