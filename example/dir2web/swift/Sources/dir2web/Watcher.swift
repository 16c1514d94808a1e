import ChannelEmitter
import Foundation

/// Watches a directory and emits its changes. Reads it five times a second, for the reasons in ../watcher.py.
actor Watcher {
    /// The room of the list; no file can have this name. A file's room is `dir::ID`.
    static let listRoom = "dir::/"

    struct ListedFile: Encodable, Sendable {
        let id: String
        let size: Int
        let modified: Int
    }

    /// The changes, or the whole list.
    struct News: Encodable, Sendable {
        let version: Int
        let changed: [ListedFile]
        let gone: [String]
        let others: Int
        let problem: String?
    }

    private let directory: Directory
    private let emitter: Emitter
    private var files: [String: Directory.File] = [:]
    private var others = 0
    private var problem: String?
    /// Starts at the time, so that a page from before a restart sees that it missed something.
    private var version = Int(Date().timeIntervalSince1970 * 1000)
    /// The hash of the last sent content of each changed file.
    private var sent: [String: Int] = [:]
    /// Files to send again at the next look, because sending failed.
    private var unsent: Set<String> = []

    init(directory: Directory, emitter: Emitter) {
        self.directory = directory
        self.emitter = emitter
    }

    /// The whole list, for a page that has just joined.
    func list() -> News {
        News(version: version, changed: listed(files.keys), gone: [], others: others, problem: problem)
    }

    func run() async throws {
        while true {
            await look()
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    func look() async {
        let now = Int(Date().timeIntervalSince1970 * 1000)
        let old = files
        let (oldOthers, oldProblem) = (others, problem)
        do throws(SystemError) {
            (files, others) = try directory.files()
            problem = nil
        } catch {
            (files, others, problem) = ([:], 0, "the directory can't be read: \(error)")
        }
        let changed = files.keys.filter { files[$0] != old[$0] }
        let gone = old.keys.filter { files[$0] == nil }
        if !changed.isEmpty || !gone.isEmpty || others != oldOthers || problem != oldProblem {
            version += 1
            let news = News(
                version: version, changed: listed(changed), gone: gone, others: others, problem: problem)
            // A page that misses this sees a gap in the versions, and fetches the list.
            if await !emit("files", news, room: Self.listRoom) { others = -1 }
        }
        for id in gone {
            sent[id] = nil
            _ = await emit("file", Gone(id: id), room: "dir::" + id)
        }
        // File times are coarse: a fresh file may change again with the same time.
        let fresh = files.filter { now - $0.value.modified < 1000 }.keys
        for id in unsent.union(changed).union(fresh) { await send(id) }
    }

    private struct Gone: Encodable {
        let id: String
        var gone = true
    }

    /// Emits to the pages that have the file open. There may be none: ws-emit knows, the backend doesn't.
    private func send(_ id: String) async {
        unsent.remove(id)
        // The next look emits that a file is gone.
        guard let content = try? directory.read(id), sent[id] != content.hashValue else { return }
        if await emit("file", content, room: "dir::" + id) {
            sent[id] = content.hashValue
        } else {
            unsent.insert(id)
        }
    }

    private func emit(_ event: String, _ value: some Encodable, room: String) async -> Bool {
        do {
            try await emitter.emit(event, EventValue(encoding: value), room: room)
            return true
        } catch {
            note("note: a message was not sent: \(error)")
            return false
        }
    }

    private func listed(_ ids: some Sequence<String>) -> [ListedFile] {
        ids.compactMap { id in files[id].map { ListedFile(id: id, size: $0.size, modified: $0.modified) } }
    }
}
