import Glibc
import JSONCodec

/// Reads a recording message by message, without ever holding the whole file.
///
/// Damaged lines are passed over: a crash leaves a torn one, at the end or where a later recording went on.
final class RecordingReader {
    /// One recorded message.
    struct Entry {
        /// Since the first header, in microseconds.
        let microseconds: Int64
        let redisChannel: String
        let payload: [UInt8]
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let path: String
    private let descriptor: CInt
    private var document = JSONDocument()
    private var chunk = [UInt8](repeating: 0, count: 1 << 18)
    private var buffer: [UInt8] = []
    private var position = 0
    private var isAtEnd = false
    private var lineNumber = 0
    private var firstStart: Int64?
    /// The time of the header in force, after the first one's.
    private var base: Int64 = 0
    private var latest: Int64 = 0
    /// Lines that could not be read, and the first of them.
    private(set) var damagedLines = 0
    private(set) var firstDamagedLine = 0

    /// - Parameter path: `-` is standard input.
    init(path: String) throws(Failure) {
        self.path = path
        descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(description: "\(path): \(SystemError.last)") }
    }

    deinit {
        if descriptor > STDIN_FILENO { close(descriptor) }
    }

    /// The next message, nil at the end.
    func next() throws(Failure) -> Entry? {
        while let line = try nextLine() {
            lineNumber += 1
            if line.isEmpty { continue }
            if let entry = try read(line) { return entry }
        }
        if firstStart == nil { throw Failure(description: "\(path) is no recording: it has no header") }
        return nil
    }

    private func nextLine() throws(Failure) -> Range<Int>? {
        var searched = position
        while true {
            if let feed = buffer[searched...].firstIndex(of: 0x0A) {
                defer { position = feed + 1 }
                return position..<feed
            }
            searched = buffer.count
            if isAtEnd {
                guard position < buffer.count else { return nil }
                defer { position = buffer.count }
                return position..<buffer.count
            }
            searched -= position
            buffer.removeFirst(position)
            position = 0
            // No message of Redis's is longer than 512 MB; with base64 that is 683.
            guard buffer.count < 1 << 30 else { throw Failure(description: "\(path): a line without an end") }
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure(description: "\(path): \(SystemError.last)") }
            if count == 0 { isAtEnd = true } else { buffer.append(contentsOf: chunk[..<count]) }
        }
    }

    private func read(_ line: Range<Int>) throws(Failure) -> Entry? {
        let entry: Result<Entry?, Failure> = buffer.withUnsafeBytes { bytes in
            let text = UnsafeRawBufferPointer(rebasing: bytes[line])
            do throws(JSONError) {
                try document.parse(text)
            } catch {
                noteDamage()
                return .success(nil)
            }
            do throws(Failure) { return .success(try readLine()) } catch { return .failure(error) }
        }
        return try entry.get()
    }

    private func readLine() throws(Failure) -> Entry? {
        let root = document.root
        if let version = document.value(forKey: "subspy_recording", in: root).flatMap({ document.int64($0) }) {
            guard version == RecordingFormat.version else {
                throw Failure(description: "\(path): a recording of format \(version), which a newer subspy wrote")
            }
            readHeader(start: document.value(forKey: "start_us", in: root).flatMap { document.int64($0) } ?? 0)
            return nil
        }
        guard firstStart != nil else { throw Failure(description: "\(path) is no recording: it has no header") }
        guard let time = document.value(forKey: "us", in: root).flatMap({ document.int64($0) }) else {
            noteDamage()
            return nil
        }
        guard let channel = document.value(forKey: "channel", in: root).flatMap({ document.byteString($0) }) else {
            // A gap is no message.
            return nil
        }
        guard let payload = payload(of: root) else {
            noteDamage()
            return nil
        }
        latest = max(latest, base &+ time)
        return Entry(microseconds: latest, redisChannel: channel.description, payload: payload)
    }

    /// What follows goes on after what came before, later by the time between the headers.
    private func readHeader(start: Int64) {
        if let firstStart { base = max(latest, start &- firstStart) } else { firstStart = start }
    }

    private func payload(of root: JSONDocument.Node) -> [UInt8]? {
        if let text = document.value(forKey: "text", in: root) { return document.byteString(text)?.bytes }
        guard let text = document.value(forKey: "base64", in: root), let content = document.plainContent(of: text)
        else {
            return nil
        }
        return Base64Text.decode(content)
    }

    private func noteDamage() {
        if damagedLines == 0 { firstDamagedLine = lineNumber }
        damagedLines += 1
    }
}
