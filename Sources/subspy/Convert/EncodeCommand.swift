import ArgumentParser
import Bytes
import Glibc
import JSONCodec
import PickleCodec
import PubSubMessages

/// Writes one payload.
struct EncodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "encode",
        abstract: "Writes a payload, as a pickle or as JSON, without publishing it.",
        discussion: """
            The value is JSON. A value without a JSON type is an object with one key: {"$tuple": [1, 2]}, {"$bytes": "QQ=="},
            {"$set": [1]}, {"$dict": [[1, 2]]}, {"$float": "nan"}; `subspy decode --json` prints these.

            Examples:
              subspy encode '{"method": "emit", "event": "update", "data": {"$tuple": [1, 2]}}' --base64
              subspy encode @message.json --protocol 0 | redis-cli -x publish flask-socketio
            """)

    @Argument(help: "JSON, @file with JSON, or - for standard input.")
    var value = "-"

    @Option(help: .init("pickle or json.", valueName: "format"))
    var `as` = PublishFormat.pickle

    @OptionGroup var version: ProtocolOption

    @Flag(help: "Print hexadecimal digits.")
    var hex = false

    @Flag(help: "Print base64.")
    var base64 = false

    func validate() throws {
        if hex, base64 { throw ValidationError("--hex does not go with --base64") }
        try version.check(`as`)
    }

    func run() throws {
        if `as` == .pickle, !hex, !base64, isatty(STDOUT_FILENO) == 1 {
            throw ValidationError("a pickle on a terminal could make it do anything; use --hex or --base64, or pipe it")
        }
        let text = try text()
        let payload: [UInt8]
        do { payload = try encoded(text) } catch { throw CommandFailure(65, "\(error)") }
        let output = LineOutput()
        if hex {
            output.append(Hexadecimal.encode(payload))
            output.endLine()
        } else if base64 {
            var writer = JSONWriter()
            unsafe payload.withUnsafeBytes { unsafe writer.appendBase64($0) }
            unsafe writer.withUnsafeBytes { unsafe output.append(spelled: $0) }
            output.endLine()
        } else {
            unsafe payload.withUnsafeBytes { unsafe output.append(spelled: $0) }
        }
        output.flush()
    }

    private func text() throws -> [UInt8] {
        if value == "-" { return try InputFile.content(of: "-") }
        guard value.hasPrefix("@") else { return Array(value.utf8) }
        return try InputFile.content(of: String(value.dropFirst()))
    }

    private func encoded(_ text: [UInt8]) throws -> [UInt8] {
        try unsafe text.withUnsafeBytes { bytes in
            var document = JSONDocument()
            try unsafe document.parse(bytes)
            let value = try PickleValue(document.root, of: document, hasTags: true)
            return try MessageText.payload(of: value, as: version.encoding(as: `as`))
        }
    }
}
