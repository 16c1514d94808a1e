import ChannelEmitter
import Foundation
import NIOCore
import NIOHTTP1

/// The responses of the web server: the page's files, its settings, the list, and one file.
struct Site: Sendable {
    let settings: Settings
    let directory: Directory
    let watcher: Watcher
    let emitter: Emitter

    struct Answer: Sendable {
        var status = HTTPResponseStatus.ok
        var type = "application/json"
        var body = ByteBuffer()
        var location: String?
    }

    /// The file for each path; no other file is served.
    private static let pageFiles: [String: (path: String, type: String)] = {
        // The folder of this package, example/dir2web/swift.
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let (page, shared) = (package.appending(path: ".."), package.appending(path: "../../shared"))
        func file(_ folder: URL, _ name: String, _ type: String) -> (path: String, type: String) {
            (folder.appending(path: name).path, type)
        }
        return [
            "/": file(page, "page.html", "text/html; charset=utf-8"),
            "/page.js": file(page, "page.js", "text/javascript; charset=utf-8"),
            "/names.js": file(page, "names.js", "text/javascript; charset=utf-8"),
            "/page.css": file(page, "page.css", "text/css; charset=utf-8"),
            "/state.js": file(shared, "state.js", "text/javascript; charset=utf-8"),
            "/style.css": file(shared, "style.css", "text/css; charset=utf-8"),
            "/icon.svg": file(shared, "icon.svg", "image/svg+xml"),
        ]
    }()

    func answer(_ request: HTTPRequestHead) async -> Answer {
        let name = request.headers.first(name: "host")?.split(separator: ":").first.map(String.init) ?? ""
        // Refuses other names, by which another site could read this one with its scripts (DNS rebinding).
        guard settings.hosts.contains(name) else {
            return text(.misdirectedRequest, "This page is for \(settings.hosts.sorted()); name others with HOSTS.\n")
        }
        guard request.method == .GET else { return text(.methodNotAllowed, "Only GET works here.\n") }
        let parts = request.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        switch parts[0] {
        case "/settings.json": return await settingsAnswer()
        case "/files": return json(await watcher.list())
        case "/file":
            let query = parts.count == 2 ? parts[1] : ""
            let id = query.split(separator: "&").first { $0.hasPrefix("id=") }?.dropFirst(3) ?? ""
            return file(String(decoding: FileID.decode(id), as: UTF8.self))
        case "/socket.io.min.js":
            if settings.clientIsURL { return Answer(status: .found, location: settings.client) }
            return contents(of: settings.client, type: "text/javascript; charset=utf-8")
        case let path:
            guard let file = Self.pageFiles[String(path)] else { return text(.notFound, "There is no such file.\n") }
            return contents(of: file.path, type: file.type)
        }
    }

    private func settingsAnswer() async -> Answer {
        do throws(EmitterError) {
            return json([
                "ws_emit_url": settings.wsEmitURL, "directory": directory.path,
                "secret": try await emitter.roomSecret(of: "dir"),
            ])
        } catch {
            return json(
                ["problem": "the example's server can't reach Redis: \(error)"], status: .serviceUnavailable)
        }
    }

    private func file(_ id: String) -> Answer {
        do throws(Directory.Refusal) {
            return json(try directory.read(id))
        } catch {
            switch error {
            case .noName: return json(["problem": "this is no file's name"], status: .badRequest)
            case .notThere: return json(["problem": "there is no such file"], status: .notFound)
            }
        }
    }

    private func json(_ value: some Encodable, status: HTTPResponseStatus = .ok) -> Answer {
        guard let data = try? JSONEncoder().encode(value) else { return text(.internalServerError, "No JSON.\n") }
        return Answer(status: status, body: ByteBuffer(bytes: data))
    }

    private func text(_ status: HTTPResponseStatus, _ words: String) -> Answer {
        Answer(status: status, type: "text/plain; charset=utf-8", body: ByteBuffer(string: words))
    }

    private func contents(of path: String, type: String) -> Answer {
        guard let data = FileManager.default.contents(atPath: path) else {
            return text(.notFound, "\(path) can't be read.\n")
        }
        return Answer(type: type, body: ByteBuffer(bytes: data))
    }
}
