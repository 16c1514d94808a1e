import ArgumentParser
import Glibc

/// The command line: sniffing, unless a subcommand is named.
@main
struct SubspyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "subspy",
        abstract: "Shows what Flask-SocketIO's emitters publish on a Redis channel, and publishes there itself.",
        discussion: """
            Without a subcommand it prints the channel; the options for that are those of `subspy sniff --help`.

            Examples:
              subspy
              subspy --redis redis://db:6379/0 --channel flask-socketio -v
              subspy --event update --until done --duration 1m
              subspy top --by sender
              subspy emit update --room time --data '{"time": 1}'
              subspy record monday.jsonl
              subspy replay monday.jsonl --speed 10x

            Completion: subspy --generate-completion-script bash (or zsh, fish).
            """,
        version: "subspy 0.1.0",
        subcommands: [
            SniffCommand.self, TopCommand.self, EmitCommand.self, CloseRoomCommand.self, DisconnectCommand.self,
            EnterRoomCommand.self, LeaveRoomCommand.self, RecordCommand.self, ReplayCommand.self, ConvertCommand.self,
            DiffCommand.self, DecodeCommand.self, EncodeCommand.self,
        ],
        defaultSubcommand: SniffCommand.self)

    /// One sentence and code 64 for whatever is wrong with the options; usage stays with `--help`.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            let code = exitCode(for: error)
            guard code != .success, !(error is ExitCode) else { exit(withError: error) }
            // A list of possible values comes as lines.
            let lines = message(for: error).split(separator: "\n")
            let values = lines.filter { $0.hasPrefix("  - ") }.map { $0.dropFirst(4) }
            let sentences = lines.filter { !$0.hasPrefix("  - ") }
            StandardError.say(
                (sentences + (values.isEmpty ? [] : [values.joined(separator: ", ")[...]])).joined(separator: " "))
            Glibc.exit(code.rawValue)
        }
    }
}
