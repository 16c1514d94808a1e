// Emits one event on the Redis channel: swift run emit EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.
// KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
// each KEY.
// Environment: REDIS names the server, redis://[[user]:password@]host[:port]; FORMAT is pickle (default) or json. Prints how
// many servers got the event.
import ChannelEmitter
import Foundation

@main struct Emit {
    static func main() async {
        let (words, environment) = (CommandLine.arguments.dropFirst(), ProcessInfo.processInfo.environment)
        guard let event = words.first, let room = words.dropFirst().first, words.count <= 5 else {
            fail(64, "usage: emit EVENT ROOM [JSON [KEEP [KEY]]]")
        }
        do throws(EmitterError) {
            // A program of your own has its data at hand: emit("update", ["time": 1, "tags": ["a", "b"]], room: "time")
            let data = try EventValue(json: words.count >= 3 ? words[3] : "null")
            let keep = try keep(words.count >= 4 ? words[4] : "")
            let key = words.count == 5 ? words[5] : ""
            let emitter = try Emitter(
                environment["REDIS"] ?? "redis://localhost:6379",
                format: environment["FORMAT"] == "json" ? .json : .pickle())
            print(
                try await emitter.emit(
                    event, data, room: room.isEmpty ? nil : room, keep: keep, key: key.isEmpty ? nil : key))
            await emitter.close()
        } catch {
            switch error.code {
            case .invalidConfiguration: fail(64, "\(error)")
            case .invalidMessage: fail(65, "\(error)")
            default: fail(69, "\(error)")
            }
        }
    }

    static func keep(_ text: String) throws(EmitterError) -> Keep? {
        switch try EventValue(json: text.isEmpty ? "null" : text) {
        case .bool(let isKept): isKept ? .yes : .no
        case .int(let seconds): .seconds(seconds)
        case .double(let seconds): .duration(.seconds(seconds))
        case .null: nil
        default: fail(65, "KEEP is neither true, false nor seconds")
        }
    }

    static func fail(_ code: Int32, _ sentence: String) -> Never {
        FileHandle.standardError.write(Data("emit: \(sentence)\n".utf8))
        exit(code)
    }
}
