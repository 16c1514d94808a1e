import Bytes
import ArgumentParser
import JSONCodec
import PickleCodec
import PubSubMessages

/// Shows one payload.
struct DecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode",
        abstract: "Shows what one payload holds: a pickle of any protocol, or JSON.",
        discussion: """
            Nothing in a pickle is executed. Exit code 65 when the payload can't be read; with --audit also when a pickle
            after the first imports or calls anything, and when subspy can't tell what Python would do.

            Examples:
              subspy decode payload.bin
              subspy --hex --count 1 | subspy decode --hex -
              subspy decode --base64 gASVBwAAAAAAAABLAUsChpQu --json
              subspy decode payload.bin --opcodes
            """)

    @Argument(help: "File with the payload, or - for standard input.", completion: .file())
    var file = "-"

    @OptionGroup var text: PayloadText

    @Option(bytes: "Largest payload that is read: 200, 1k, 2M (of 1024). (default: \(Defaults.payloadMebibytes)M)")
    var maxSize: Int?

    @Flag(exclusivity: .exclusive) var format = DecodedFormat.python

    func run() throws {
        var limits = PubSubMessageLimits()
        limits.maximumPayloadBytes = maxSize ?? Defaults.payloadMebibytes << 20
        limits.maximumNodes = PickleLimits().maximumNodes
        let payload = try text.payload ?? InputFile.content(of: file, maximumBytes: limits.maximumPayloadBytes)
        guard payload.count <= limits.maximumPayloadBytes else {
            throw CommandFailure(
                65, "the payload is longer than \(limits.maximumPayloadBytes) bytes: --max-size reads more")
        }
        var renderer = MessageRenderer(MessageReader(limits: limits))
        let output = LineOutput()
        let error: String? = try unsafe payload.withUnsafeBytes { bytes in
            let wireFormat = unsafe renderer.reader.inspect(bytes).format
            var error = renderer.reader.error.map { "\($0)" }
            switch format {
            case .python:
                unsafe renderer.render(bytes)
                unsafe renderer.withBytes { unsafe output.append(spelled: $0) }
            case .json:
                // A payload that can't be read has no line.
                if error != nil { return error }
                var writer = JSONWriter()
                if let refusal = unsafe MessageText.append(bytes, &renderer, to: &writer) {
                    throw CommandFailure(65, refusal)
                }
                unsafe writer.withUnsafeBytes { unsafe output.append(spelled: $0) }
            case .opcodes:
                unsafe output.append(lines: PickleReport.opcodes(of: bytes, wireFormat))
                return error
            case .audit:
                let audit = unsafe PickleReport.audit(of: bytes, wireFormat)
                output.append(audit.line)
                if audit.isPickle { error = audit.warning }
            }
            output.endLine()
            return error
        }
        output.flush()
        if let error { throw CommandFailure(65, error) }
    }
}

/// The formats in which a payload can be shown.
enum DecodedFormat: String, EnumerableFlag {
    case python, json, opcodes, audit

    static func help(for value: DecodedFormat) -> ArgumentHelp? {
        switch value {
        case .python: "Python's repr. (default)"
        case .json: "JSON that loses nothing, as `subspy encode` reads it."
        case .opcodes: "The opcodes of a pickle, as pickletools.dis prints them."
        case .audit: "The names that executing a pickle would import and call."
        }
    }
}

/// A payload as text, on the command line or on standard input.
struct PayloadText: ParsableArguments {
    @Option(help: .init("The payload in hexadecimal digits, or - to read them.", valueName: "digits"))
    var hex: String?

    @Option(help: .init("The payload in base64, or - to read it.", valueName: "text"))
    var base64: String?

    func validate() throws {
        if hex != nil, base64 != nil { throw ValidationError("--hex does not go with --base64") }
    }

    /// nil when the payload is given in neither way.
    var payload: [UInt8]? {
        get throws {
            if let hex {
                guard let payload = Hexadecimal.decode(try Self.content(hex)) else {
                    throw ValidationError("--hex: write pairs of hexadecimal digits")
                }
                return payload
            }
            guard let base64 else { return nil }
            let text = try Self.content(base64)
            guard let payload = Base64.decode(text.span, .strict) else {
                throw ValidationError("--base64: that is no base64 with its padding")
            }
            return payload
        }
    }

    /// The text without spaces and line feeds.
    private static func content(_ argument: String) throws -> [UInt8] {
        guard let content = argument == "-" ? InputFile.read("-") : Array(argument.utf8) else {
            throw ValidationError("standard input: \(SystemError.last)")
        }
        return content.filter { $0 > 0x20 }
    }
}

/// Bytes as pairs of digits.
enum Hexadecimal {
    /// nil for anything else than pairs of digits.
    static func decode(_ digits: [UInt8]) -> [UInt8]? {
        guard digits.count % 2 == 0, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).compactMap { index in
            UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)
        }
    }

    static func encode<Bytes: Sequence<UInt8>>(_ bytes: Bytes) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
