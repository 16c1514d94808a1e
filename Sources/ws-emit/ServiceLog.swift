import Bytes
import Glibc
import Logging
import RedisPubSub
import Synchronization

/// Writes each event as one line to standard error: the sentence, then its facts.
///
/// | Standard error is | Line |
/// |---|---|
/// | systemd's journal | `<4>Redis is away cause="Connection refused" host_id=ab12` |
/// | anything else | `2026-11-28T14:29:25.123Z warning ws-emit: Redis is away cause="Connection refused" host_id=ab12` |
///
/// Sentences and values may contain names chosen by clients and emitters. `PrintableText.line` cleans all of them, so that
/// no text can end the line, move a terminal's cursor or fill the disk. An ambiguous value is quoted as in a shell.
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

    /// `sentence cause="a b" key=value` without a line feed. The cause comes first; the others are sorted by name.
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
        // Single quotes keep a command with its own quotes copyable, and don't escape escapes.
        if !scalars.isDisjoint(with: ["\"", "\\"]), !scalars.contains("'") { return "'\(line)'" }
        let escaped = line.unicodeScalars.reduce(into: "") { text, scalar in
            if scalar == "\"" || scalar == "\\" { text += "\\" }
            text.unicodeScalars.append(scalar)
        }
        return "\"\(escaped)\""
    }

    /// Characters of a sentence. The longest sentences list all allowed origins.
    static let maximumSentence = 4000
    /// Characters of a value. The longest causes have some hundred.
    private static let maximumValue = 1000
}

/// Lines for the operator or the journal.
enum StandardError {
    /// True if standard error is systemd's journal, which adds time and program itself. `JOURNAL_STREAM` then has its device
    /// and inode (systemd.exec(5)).
    private static let isJournal: Bool = {
        var status = stat()
        guard let stream = Environment().value("JOURNAL_STREAM"), unsafe fstat(STDERR_FILENO, &status) == 0 else {
            return false
        }
        return stream == "\(status.st_dev):\(status.st_ino)"
    }()

    private static let lock = Mutex(())

    /// Writes one line of the log.
    static func write(_ text: String, _ level: Logger.Level) {
        let head =
            isJournal ? "<\(priority(of: level))>" : "\(WallClock.text(WallClock.now())) \(level) ws-emit: "
        writeLine(head + text)
    }

    /// Writes an error of a program that can't start, without a time, because somebody is waiting for it.
    static func printError(_ sentence: String) {
        let line = PrintableText.line(sentence, maximumCharacters: ServiceLog.maximumSentence)
        writeLine((isJournal ? "<\(priority(of: .error))>" : "ws-emit: ") + line)
    }

    /// Writes a whole line, even if other threads write too. An error loses the line.
    private static func writeLine(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        lock.withLock { _ in
            var written = 0
            while written < bytes.count {
                let count = unsafe bytes[written...].withUnsafeBytes {
                    unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count)
                }
                guard count > 0 || errno == EINTR else { return }
                written += max(0, count)
            }
        }
    }

    /// The priority's number in syslog(3).
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
