import ArgumentParser
import Bytes
import Glibc
import JSONCodec
import PubSubMessages

/// Turns recordings into JSON lines and back.
struct ConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Turns a recording into JSON lines that can be read and edited, or these into a recording.",
        discussion: """
            The first line of the input decides the direction. In JSON lines each message is written out: tuples, bytes and
            other values without a JSON type are objects with one key, such as {"$tuple": [1, 2]}. Nothing is lost: a payload
            that can't be written out keeps its bytes. Lines of your own need only a message:
            {"message": {"method": "emit", ...}}.
            `subspy replay` and `subspy diff` read both. A file is compressed when its name ends in .gz.

            Examples:
              subspy convert monday.jsonl - | jq 'select(.message.event == "update")'
              subspy convert monday.jsonl edited.jsonl
              subspy convert edited.jsonl tuesday.jsonl.gz
            """)

    @Argument(help: "The file to read, or - for standard input.", completion: .file())
    var input: String

    @Argument(help: "The file to write, or - for standard output.", completion: .file())
    var output: String

    @Flag(help: "Overwrite the output if it is there.")
    var force = false

    func validate() throws {
        guard !output.isEmpty else { throw ValidationError("the file to write must have a name") }
    }

    func run() throws {
        // Writing to a closed pipe then fails instead of ending the process.
        signal(SIGPIPE, SIG_IGN)
        let converter: Converter
        do { converter = try Converter(path: input) } catch { throw CommandFailure(66, "\(error)") }
        try converter.convert(to: output, overwrites: force)
    }
}

/// One conversion.
private final class Converter {
    private let reader: RecordingReader
    private var renderer = MessageRenderer(MessageReader())
    private var messageCount = 0
    /// Messages whose payload stays as bytes.
    private var opaqueCount = 0

    init(path: String) throws(RecordingReader.Failure) {
        reader = try RecordingReader(path: path)
    }

    func convert(to path: String, overwrites: Bool) throws(CommandFailure) {
        do {
            // The input is read first: one that is no recording must not create a file.
            var line = try reader.nextLine()
            guard overwrites || path == "-" || !RecordingFile.exists(path) else {
                throw CommandFailure(73, "\(path) is there already: --force overwrites it")
            }
            let file = try RecordingFile(path: path, isNew: true) { _ in }
            if case .message? = line {
                try file.append { RecordingFormat.appendHeader(channels: [], patterns: [], to: &$0) }
            }
            while let read = line {
                try file.append { append(read, to: &$0) }
                line = try reader.nextLine()
            }
            try file.close()
        } catch let error as CommandFailure {
            throw error
        } catch let error as RecordingReader.Failure {
            throw CommandFailure(65, "\(error)")
        } catch {
            // The reader of a pipe closes it when it has read enough.
            if (error as? RecordingFile.Failure)?.isClosedPipe == true { return }
            throw CommandFailure(74, "\(error)")
        }
        if let damage = reader.damage { StandardError.say(damage) }
        let rest = opaqueCount == 0 ? "" : ", \(opaqueCount) of them as bytes"
        StandardError.say("converted \(Quantity.messages(messageCount))\(rest)")
    }

    private func append(_ line: RecordingReader.Line, to writer: inout JSONWriter) {
        switch line {
        case .message(let entry):
            messageCount += 1
            append(entry, to: &writer)
        case .other(let text): unsafe append(text, to: &writer)
        }
    }

    private func append(_ entry: RecordingReader.Entry, to writer: inout JSONWriter) {
        RecordingFormat.appendStart(
            on: entry.redisChannel.bytes.span, microseconds: entry.ownMicroseconds, to: &writer)
        let payload = entry.payload
        if reader.isText {
            RecordingFormat.appendPayload(payload.span, to: &writer)
        } else if unsafe !payload.withUnsafeBytes({ unsafe MessageText.appendKeys(for: $0, &renderer, to: &writer) }) {
            opaqueCount += 1
            RecordingFormat.appendPayload(payload.span, to: &writer)
        }
        writer.append("}\n")
    }

    /// Renames the first key of a header, which tells what the file is; a gap stays as it is.
    private func append(_ line: UnsafeRawBufferPointer, to writer: inout JSONWriter) {
        var document = JSONDocument()
        // The reader has parsed it before.
        guard unsafe (try? document.parse(line)) != nil else { return }
        let names: (StaticString, StaticString) = ("subspy_recording", "subspy_messages")
        let (old, new) = reader.isText ? (names.1, names.0) : names
        var isFirst = true
        for (key, value) in document.members(of: document.root) {
            writer.append(isFirst ? "{" : ",")
            isFirst = false
            if document.isString(key, equalTo: old) {
                writer.appendString(new)
            } else {
                document.write(key, to: &writer)
            }
            writer.append(":")
            document.write(value, to: &writer)
        }
        writer.append(isFirst ? "{}\n" : "}\n")
    }
}
