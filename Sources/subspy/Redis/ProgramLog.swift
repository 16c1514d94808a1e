import Bytes
import Glibc
import Logging

/// Sentences for the person at the terminal, on standard error.
enum StandardError {
    /// One line: `subspy: sentence`, escaped because names of files, keys, channels and servers come from outside.
    static func say(_ sentence: String) {
        // On the screen of `top`, where a sentence ends the run, it would disappear with the screen.
        TerminalMode.leave()
        FileIO.write("subspy: \(PrintableText.line(sentence))\n", to: STDERR_FILENO)
    }
}

/// Ends a command with one sentence on standard error and an exit code.
struct CommandFailure: Error {
    let code: Int32
    let sentence: String

    init(_ code: Int32, _ sentence: String) {
        self.code = code
        self.sentence = sentence
    }
}

/// Turns what the Redis layer logs into such sentences.
struct ProgramLog: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var values = metadata.merging(event.metadata ?? [:]) { $1 }
        var sentence = "\(event.message)"
        if let cause = values.removeValue(forKey: "cause") { sentence += ": \(cause)" }
        if let server = values.removeValue(forKey: "redis") { sentence += " (\(server))" }
        for (key, value) in values.sorted(by: { $0.key < $1.key }) { sentence += " \(key)=\(value)" }
        StandardError.say(sentence)
    }
}
