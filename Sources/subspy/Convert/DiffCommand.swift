import ArgumentParser

/// Compares two recordings.
struct DiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Compares two recordings message by message: what is missing, added, changed.",
        discussion: """
            Messages are the same when they come from the same Redis channel and hold the same Python values: times do not
            count, nor how a pickle or a JSON text spells them. A missing and an added message with the same method, event,
            room and namespace are shown as one that changed. JSON lines of `subspy convert` can be compared too.

            - 3     message 3 of A is missing in B
            + 4     message 4 of B is not in A
            ~ 3 4   message 3 of A became message 4 of B, with the keys that differ

            Exit codes: 0 when the messages are the same, 1 when they are not, 2 when a file can't be read.

            Examples:
              subspy diff monday.jsonl tuesday.jsonl --ignore-host
              subspy diff before.jsonl after.jsonl --ignore-order --quiet || echo changed
            """)

    @Argument(help: "The first recording.", completion: .file())
    var a: String

    @Argument(help: "The second recording.", completion: .file())
    var b: String

    @Flag(help: "Do not compare the senders' host ids.")
    var ignoreHost = false

    @Flag(help: "Ignore the order of the messages.")
    var ignoreOrder = false

    @Option(help: .init("Differences to show; all of them are counted.", valueName: "n"))
    var limit = Defaults.differences

    @Flag(name: .shortAndLong, help: "Print nothing; use the exit code.")
    var quiet = false

    func validate() throws {
        guard limit >= 0 else { throw ValidationError("--limit must not be negative") }
        guard a != "-", b != "-" else { throw ValidationError("a recording to be compared must be a file") }
    }

    func run() throws {
        let isSame: Bool
        do throws(RecordingReader.Failure) {
            let digester = MessageDigester(ignoresHost: ignoreHost)
            let difference = RecordingDifference(try digester.digests(of: a), try digester.digests(of: b))
            if !quiet {
                let report = DifferenceReport(difference, limit: limit, digester: digester)
                try report.print(a, b)
            }
            let isComplete = difference.missing.isEmpty && difference.added.isEmpty
            isSame = isComplete && (ignoreOrder || difference.movedCount == 0)
        } catch {
            throw CommandFailure(2, "\(error)")
        }
        if !isSame { throw ExitCode(1) }
    }
}
