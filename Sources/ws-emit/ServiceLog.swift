import Glibc
import JSONCodec
import Logging
import RedisPubSub
import Synchronization

/// Writes each event to standard error as one line: the sentence, then its facts.
///
/// | Standard error is | Line |
/// |---|---|
/// | systemd's journal | `<4>Redis is away cause="Connection refused" host_id=ab12` |
/// | anything else | `2026-11-28T14:29:25.123Z warning ws-emit: Redis is away cause="Connection refused" host_id=ab12` |
///
/// Sentences and values may hold names that clients and emitters chose. All pass `PrintableText.line`, so that no text can end
/// the line, move a terminal's cursor or fill the disk; a value that could be read as several is quoted as for a shell.
struct ServiceLog: LogHandler {
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let facts = metadata.merging(event.metadata ?? [:]) { $1 }
        StandardError.write(Self.text(of: "\(event.message)", facts), event.level)
    }

    /// `sentence cause="a b" key=value`, without an end of line. The cause comes first, the others by name.
    static func text(of sentence: String, _ facts: Logger.Metadata) -> String {
        var text = PrintableText.line(sentence, maximumCharacters: maximumSentence)
        let sorted = facts.sorted { ($0.key == "cause" ? 0 : 1, $0.key) < ($1.key == "cause" ? 0 : 1, $1.key) }
        for (key, value) in sorted { text += " \(key)=\(quoted("\(value)"))" }
        return text
    }

    private static func quoted(_ value: String) -> String {
        let line = PrintableText.line(value, maximumCharacters: maximumValue)
        let scalars = Set(line.unicodeScalars)
        guard line.isEmpty || !scalars.isDisjoint(with: [" ", "=", "\"", "'"]) else { return line }
        // So that a command within, which has quotes of its own, can be copied, and escapes are not escaped.
        if !scalars.isDisjoint(with: ["\"", "\\"]), !scalars.contains("'") { return "'\(line)'" }
        let escaped = line.unicodeScalars.reduce(into: "") { text, scalar in
            if scalar == "\"" || scalar == "\\" { text += "\\" }
            text.unicodeScalars.append(scalar)
        }
        return "\"\(escaped)\""
    }

    /// Characters of a sentence: the longest of ours name all allowed origins.
    static let maximumSentence = 4000
    /// Characters of a value: our longest causes have some hundred.
    private static let maximumValue = 1000
}

/// Lines for whoever started the program.
enum StandardError {
    /// Whether it goes to systemd's journal, which notes time and program itself: `JOURNAL_STREAM` has its device and inode then
    /// (systemd.exec(5)).
    private static let isJournal: Bool = {
        var status = stat()
        guard let stream = Environment().value("JOURNAL_STREAM"), fstat(STDERR_FILENO, &status) == 0 else {
            return false
        }
        return stream == "\(status.st_dev):\(status.st_ino)"
    }()

    private static let lock = Mutex(())

    /// Writes one line of the log.
    static func write(_ text: String, _ level: Logger.Level) {
        let head =
            isJournal ? "<\(priority(of: level))>" : "\(WallClock.text(WallClock.milliseconds())) \(level) ws-emit: "
        writeLine(head + text)
    }

    /// Writes a sentence about a program that doesn't start: without a time, since somebody waits for it.
    static func complain(_ sentence: String) {
        let line = PrintableText.line(sentence, maximumCharacters: ServiceLog.maximumSentence)
        writeLine((isJournal ? "<\(priority(of: .error))>" : "ws-emit: ") + line)
    }

    /// Whole, whichever thread writes besides; what can't be written is lost.
    private static func writeLine(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        lock.withLock { _ in
            var written = 0
            while written < bytes.count {
                let count = bytes[written...].withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
                guard count > 0 || errno == EINTR else { return }
                written += max(0, count)
            }
        }
    }

    /// syslog(3)'s number.
    private static func priority(of level: Logger.Level) -> Int32 {
        switch level {
        case .trace, .debug: LOG_DEBUG
        case .info: LOG_INFO
        case .notice: LOG_NOTICE
        case .warning: LOG_WARNING
        case .error: LOG_ERR
        case .critical: LOG_CRIT
        }
    }
}
