import ChannelEmitter
import Foundation

/// Shows a directory in the browser as it changes: the page of ../app.py, with an emitter in Swift.
@main
struct Dir2Web {
    static func main() async {
        let directory = directoryFromCommandLine()
        let settings = Settings(environment: ProcessInfo.processInfo.environment)
        let emitter: Emitter
        do throws(EmitterError) {
            emitter = try Emitter(settings.redis, timeout: .seconds(4))
            _ = try await emitter.roomSecret(of: "dir")
        } catch {
            fail(
                "Redis can't be used: \(error)\n"
                    + "  to have one: apt-get install redis-server; to name another: REDIS=redis://host:port/0")
        }
        let watcher = Watcher(directory: directory, emitter: emitter)
        await watcher.look()
        let site = Site(settings: settings, directory: directory, watcher: watcher, emitter: emitter)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await watcher.run() }
                group.addTask { try await WebServer(port: settings.port, site: site).run() }
                try await group.next()
            }
        } catch {
            fail(
                "can't listen on port \(settings.port): \(error); choose another with PORT, and give ws-emit"
                    + " --cors http://localhost:PORT")
        }
    }

    private static func directoryFromCommandLine() -> Directory {
        let words = CommandLine.arguments.dropFirst()
        guard words.count == 1, let path = words.first, !path.hasPrefix("-") else {
            fail(
                "usage: dir2web DIRECTORY\nShows a directory's files in the browser, as they change; for example /tmp/ws-emit."
                    + " Anyone who opens the page can read its regular files.")
        }
        let directory = Directory(
            path: path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path)
        do throws(SystemError) {
            _ = try directory.files()
        } catch {
            switch error.number {
            case ENOENT: fail("there is no directory \(path); make one: mkdir -p \(path)")
            case ENOTDIR: fail("\(path) is no directory")
            default: fail("\(path) can't be read: \(error)")
            }
        }
        return directory
    }

    static func fail(_ sentence: String) -> Never {
        note("dir2web example: " + sentence)
        exit(1)
    }
}

func note(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
}
