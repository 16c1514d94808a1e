import Bytes
import JSONCodec
import PubSubMessages

/// Reads a recording line by line, compressed or not, without ever holding the whole file.
///
/// Damaged lines are skipped: a crash leaves a torn one, at the end or where a later recording went on.
final class RecordingReader {
    typealias Failure = LineFile.Failure

    /// One recorded message.
    struct Entry {
        /// Since the first header, in microseconds.
        let microseconds: Int64
        /// Since the header before it, as the line says.
        let ownMicroseconds: Int64
        let redisChannel: ByteString
        let payload: [UInt8]
    }

    /// A line of the file.
    @safe enum Line {
        case message(Entry)
        /// A header, or the beginning or the end of a gap: the line itself, valid until the next one is read.
        case other(UnsafeRawBufferPointer)
    }

    let file: LineFile
    private var document = JSONDocument()
    private var lineNumber = 0
    private var hasHeader = false
    private var firstStart: Int64?
    /// The time of the header in force, after the first one's.
    private var base: Int64 = 0
    private var latest: Int64 = 0
    private var redisChannel: ByteString = ""
    /// True for JSON lines, as `subspy convert` writes them.
    private(set) var isText = false
    /// Lines that could not be read, and the first of them.
    private var damagedLines = 0
    private var firstDamagedLine = 0

    /// - Parameter path: `-` is standard input.
    init(path: String) throws(Failure) {
        file = try LineFile(path: path)
    }

    /// The next message, nil at the end.
    func next() throws(Failure) -> Entry? {
        while let line = try nextLine() {
            if case .message(let entry) = line { return entry }
        }
        return nil
    }

    /// The next line that can be read, nil at the end.
    func nextLine() throws(Failure) -> Line? {
        while let text = try unsafe file.next() {
            lineNumber += 1
            if unsafe text.isEmpty { continue }
            if let line = try unsafe read(text) { return line }
            if damagedLines == 0 { firstDamagedLine = lineNumber }
            damagedLines += 1
        }
        guard hasHeader else { throw Failure(description: "\(file.path) is no recording: it has no header") }
        return nil
    }

    /// A sentence about the lines that were skipped; nil while there were none.
    var damage: String? {
        var sentences: [String] = []
        if damagedLines > 0 {
            let others = damagedLines == 1 ? "" : " and \(damagedLines - 1) more"
            sentences.append("line \(firstDamagedLine)\(others) of \(file.path) can't be read and was passed over")
        }
        if file.isTorn {
            sentences.append("the compressed data of \(file.path) breaks off: what comes before was read")
        }
        return sentences.isEmpty ? nil : sentences.joined(separator: "; ")
    }

    private func entry(_ time: Int64, _ payload: [UInt8]) -> Entry {
        latest = max(latest, base &+ time)
        return Entry(microseconds: latest, ownMicroseconds: time, redisChannel: redisChannel, payload: payload)
    }

    /// nil for a line that is damaged.
    private func read(_ text: UnsafeRawBufferPointer) throws(Failure) -> Line? {
        do throws(JSONError) { try unsafe document.parse(text) } catch { return nil }
        let line = LineValues(of: document)
        if let version = line.version {
            guard version == RecordingFormat.version else {
                throw Failure(description: "\(file.path): a recording of format \(version), which a newer subspy wrote")
            }
            if !hasHeader { isText = line.isTextHeader }
            hasHeader = true
            readStart(line.start ?? 0)
            return unsafe .other(text)
        }
        if !hasHeader {
            // Messages written by hand need no header.
            guard line.message != nil else {
                throw Failure(description: "\(file.path) is no recording: it has no header")
            }
            (hasHeader, isText, firstStart) = (true, true, 0)
        }
        if let name = line.channel, document.kind(of: name) == .string {
            readChannel(name)
        } else if line.message != nil {
            redisChannel = ByteString(Defaults.redisChannel)
        } else {
            return unsafe line.time == nil ? nil : .other(text)
        }
        guard line.time != nil || line.message != nil, let payload = payload(of: line) else { return nil }
        return .message(entry(line.time ?? latest &- base, payload))
    }

    /// Most lines name the same channel; its name isn't copied again.
    private func readChannel(_ name: JSONDocument.Node) {
        if let content = unsafe document.unescapedContent(of: name), unsafe redisChannel.hasBytes(content) { return }
        if let name = document.byteString(name) { redisChannel = name }
    }

    /// Shifts the messages that follow by the time between the headers, so that they come after the earlier ones.
    private func readStart(_ start: Int64) {
        if let firstStart { base = max(latest, start &- firstStart) } else { firstStart = start }
    }

    private func payload(of line: LineValues) -> [UInt8]? {
        if let message = line.message { return try? MessageText.payload(of: message, in: document.root, document) }
        if let text = line.text { return document.byteString(text)?.bytes }
        guard let text = line.base64, let content = unsafe document.unescapedContent(of: text) else { return nil }
        return unsafe Base64.decode(content.assumingMemoryBound(to: UInt8.self).span, .strict)
    }
}

/// The values of a line by their keys, found in one pass; nil for a key that is missing, and for one of a number that has none.
private struct LineValues {
    /// The version of a header.
    private(set) var version: Int64?
    /// A header of JSON lines.
    private(set) var isTextHeader = false
    private(set) var start: Int64?
    private(set) var time: Int64?
    private(set) var channel, text, base64, message: JSONDocument.Node?

    init(of document: borrowing JSONDocument) {
        for (key, value) in document.members(of: document.root) {
            // The keys of most lines first.
            if document.isString(key, equalTo: "us") {
                time = document.int64(value)
            } else if document.isString(key, equalTo: "channel") {
                channel = value
            } else if document.isString(key, equalTo: "base64") {
                base64 = value
            } else if document.isString(key, equalTo: "text") {
                text = value
            } else if document.isString(key, equalTo: "message") {
                message = value
            } else if document.isString(key, equalTo: "start_us") {
                start = document.int64(value)
            } else if document.isString(key, equalTo: "subspy_recording") {
                if let number = document.int64(value) { (version, isTextHeader) = (number, false) }
            } else if document.isString(key, equalTo: "subspy_messages"), version == nil {
                version = document.int64(value)
                isTextHeader = true
            }
        }
    }
}
