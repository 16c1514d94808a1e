import ArgumentParser
import Bytes
@preconcurrency @unsafe import Dispatch
import Glibc
import NIOCore
import PubSubMessages

/// Publishes events.
struct EmitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "emit",
        abstract: "Publishes an event, as Flask-SocketIO's emit does.",
        discussion: """
            It prints how many subscribers Redis counted. Without any it warns and exits with 3. A subscriber is a
            server such as ws-emit, not a browser.

            Examples:
              subspy emit update --room time --data '{"time": 1}'
              subspy emit update --data @update.json --as pickle --protocol 4
              subspy emit price --room shop --data '{"sku": "tea", "cents": 250}' --keep 3600 --key tea
              subspy emit tick --repeat 10 --every 1s
              tail -f log.jsonl | subspy emit log --room admins --data -
            """)

    @Argument(help: "Name of the event.")
    var event: String

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var publishing: PublishOptions

    @Option(
        help: .init("Room, or a client's sid; repeatable. (default: everybody in the namespace)", valueName: "name"))
    var room: [String] = []

    // The next word is the value even when it looks like an option: it may be a negative number.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The event's argument: JSON, @file with JSON, or - for a line of JSON for each event. (default: none)",
            valueName: "json"))
    var data: String?

    @Option(
        help: ArgumentHelp(
            "Ask ws-emit to keep it as the last value of its room: yes, or a number of seconds; no forbids it.",
            valueName: "seconds"),
        transform: KeepRequest.parse)
    var keep: KeepRequest?

    @Option(help: .init("Key of the value among those that are kept of the event.", valueName: "text"))
    var key: String?

    @Option(help: .init("Number of events.", valueName: "n"))
    var `repeat` = 1

    @Option(time: "Time between them: 500ms, 1s. (default: none)")
    var every: Duration?

    func validate() throws {
        guard !room.contains("") else {
            throw ValidationError("--room must not be empty: leave it out to reach everybody")
        }
        guard keep == nil || keep == .no || !room.isEmpty else {
            throw ValidationError("--keep goes with --room: a message for everybody can't be kept")
        }
        if let key, key.utf8.count > KeepRequest.maximumKeyBytes {
            throw ValidationError("--key has more than \(KeepRequest.maximumKeyBytes) bytes")
        }
        guard self.repeat >= 1 else { throw ValidationError("--repeat must be at least 1") }
        if every != nil, data != "-", self.repeat == 1 {
            throw ValidationError("--every goes with --repeat or with --data -")
        }
        if data == "-", self.repeat > 1 { throw ValidationError("--repeat does not go with --data -") }
    }

    func run() throws {
        let url = try connection.url(channel: publishing.channel)
        let message = OutgoingMessage.emit(
            event: event, rooms: room, namespace: publishing.namespace, keep: keep, key: key, hostID: HostID.random())
        let payload = data == "-" ? nil : try self.payload(message)
        try connection.run(url) { session in
            let publisher = Publisher(session: session, redisChannel: publishing.channel)
            if let payload {
                publishRepeatedly(payload, publisher, session.run, remaining: self.repeat)
            } else {
                publishLines(message, publisher, session.run)
            }
        }
    }

    private func payload(_ message: OutgoingMessage) throws -> [UInt8] {
        var json = Array((data ?? "").utf8)
        if let data, data.hasPrefix("@") {
            guard let content = InputFile.read(String(data.dropFirst())) else {
                throw ValidationError("--data: \(data.dropFirst()) can't be read: \(SystemError.last)")
            }
            json = content
        }
        if data != nil, json.isEmpty {
            throw ValidationError("--data is empty: leave it out for an event without argument")
        }
        do {
            return try message.encoded(as: publishing.encoding, data: json)
        } catch {
            throw ValidationError("--data: \(error) (a text is JSON in double quotes: '\"text\"')")
        }
    }

    private func publishRepeatedly(_ payload: [UInt8], _ publisher: Publisher, _ run: RunLoop, remaining: Int) {
        var remaining = remaining
        while remaining > 0 {
            if publisher.isFull {
                publisher.wantsMore = { publishRepeatedly(payload, publisher, run, remaining: remaining) }
                return
            }
            publisher.publish(payload)
            remaining -= 1
            if let every, remaining > 0 {
                let rest = remaining
                run.after(every) { publishRepeatedly(payload, publisher, run, remaining: rest) }
                return
            }
        }
        publisher.complete()
    }

    private func publishLines(_ message: OutgoingMessage, _ publisher: Publisher, _ run: RunLoop) {
        var lineNumber = 0
        var input: LineInput?
        let lines = LineInput(run) { line in
            lineNumber += 1
            guard line.contains(where: { $0 > 0x20 }) else { return }
            do {
                publisher.publish(try message.encoded(as: publishing.encoding, data: line))
            } catch {
                StandardError.say("line \(lineNumber): \(error); not published")
                publisher.noteRefusal()
            }
            if let every {
                input?.pause()
                run.after(every) { input?.resume() }
            } else if publisher.isFull {
                input?.pause()
            }
        } end: {
            publisher.complete()
        }
        input = lines
        // With --every each line waits for its time instead.
        if every == nil { publisher.wantsMore = { lines.resume() } }
        lines.start()
    }
}

extension KeepRequest {
    /// Reads the value of `--keep`.
    fileprivate static func parse(_ text: String) throws -> KeepRequest {
        if text == "yes" { return .yes }
        if text == "no" { return .no }
        guard let request = Double(text).flatMap({ KeepRequest(seconds: $0) }) else {
            throw ValidationError("write yes, no, or a number of seconds above 0")
        }
        return request
    }
}

/// Standard input line by line, read on a thread of its own and handed over on the loop.
final class LineInput {
    private let run: RunLoop
    private let gate = DispatchSemaphore(value: 1)
    /// One line without its line feed.
    private let line: ([UInt8]) -> Void
    private let end: () -> Void
    private var rest: [UInt8] = []
    private var isPaused = false
    private var hasEnded = false

    init(_ run: RunLoop, line: @escaping ([UInt8]) -> Void, end: @escaping () -> Void) {
        self.run = run
        self.line = line
        self.end = end
    }

    func start() {
        let (gate, loop, bound) = (gate, run.eventLoop, NIOLoopBound(self, eventLoop: run.eventLoop))
        DispatchQueue.global().async {
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                // Signalled when all lines of the last chunk have been handed over.
                gate.wait()
                let count = unsafe chunk.withUnsafeMutableBytes { unsafe FileIO.read(STDIN_FILENO, into: $0) } ?? 0
                let bytes = Array(chunk[..<count])
                loop.execute { bound.value.take(bytes) }
                if count == 0 { return }
            }
        }
    }

    /// Hands over no more lines until `resume`; may be called from within a line.
    func pause() { isPaused = true }

    func resume() {
        guard isPaused else { return }
        isPaused = false
        drain()
    }

    private func take(_ bytes: [UInt8]) {
        if bytes.isEmpty { hasEnded = true } else { rest += bytes }
        drain()
    }

    private func drain() {
        guard run.exitCode == nil else { return }
        var start = 0
        while !isPaused, let feed = rest[start...].firstIndex(of: 0x0A) {
            line(Array(rest[start..<feed]))
            start = feed + 1
        }
        rest.removeFirst(start)
        guard !isPaused else { return }
        guard hasEnded else {
            gate.signal()
            return
        }
        if !rest.isEmpty { line(rest) }
        end()
    }
}
