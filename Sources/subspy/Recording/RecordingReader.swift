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
        let root = document.root
        for (key, isText) in [("subspy_recording", false), ("subspy_messages", true)] as [(StaticString, Bool)] {
            guard let version = document.value(forKey: key, in: root).flatMap({ document.int64($0) }) else { continue }
            guard version == RecordingFormat.version else {
                throw Failure(description: "\(file.path): a recording of format \(version), which a newer subspy wrote")
            }
            if !hasHeader { self.isText = isText }
            hasHeader = true
            readStart(document.value(forKey: "start_us", in: root).flatMap { document.int64($0) } ?? 0)
            return unsafe .other(text)
        }
        let time = document.value(forKey: "us", in: root).flatMap { document.int64($0) }
        let message = document.value(forKey: "message", in: root)
        if !hasHeader {
            // Messages written by hand need no header.
            guard message != nil else { throw Failure(description: "\(file.path) is no recording: it has no header") }
            (hasHeader, isText, firstStart) = (true, true, 0)
        }
        if let name = document.value(forKey: "channel", in: root).flatMap({ document.byteString($0) }) {
            redisChannel = name
        } else if message != nil {
            redisChannel = ByteString(Defaults.redisChannel)
        } else {
            return unsafe time == nil ? nil : .other(text)
        }
        guard time != nil || message != nil, let payload = payload(of: root, message) else { return nil }
        return .message(entry(time ?? latest &- base, payload))
    }

    /// Shifts the messages that follow by the time between the headers, so that they come after the earlier ones.
    private func readStart(_ start: Int64) {
        if let firstStart { base = max(latest, start &- firstStart) } else { firstStart = start }
    }

    private func payload(of root: JSONDocument.Node, _ message: JSONDocument.Node?) -> [UInt8]? {
        if let message { return try? MessageText.payload(of: message, in: root, document) }
        if let text = document.value(forKey: "text", in: root) { return document.byteString(text)?.bytes }
        guard let text = document.value(forKey: "base64", in: root),
            let content = unsafe document.unescapedContent(of: text)
        else { return nil }
        return unsafe Base64.decode(content.assumingMemoryBound(to: UInt8.self).span, .strict)
    }
}
