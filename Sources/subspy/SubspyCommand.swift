import ArgumentParser
import Glibc

/// The command line: it prints messages unless a subcommand is named.
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
            SniffCommand.self, TopCommand.self, EmitCommand.self, ControlCommand<CloseRoom>.self,
            ControlCommand<Disconnect>.self, ControlCommand<EnterRoom>.self, ControlCommand<LeaveRoom>.self,
            RecordCommand.self, ReplayCommand.self, ConvertCommand.self, DiffCommand.self, DecodeCommand.self,
            EncodeCommand.self,
        ],
        defaultSubcommand: SniffCommand.self)

    /// Wrong options get one sentence and code 64. The usage is only shown by `--help`.
    static func main() {
        do {
            if let word = CommandLine.arguments.dropFirst().first, let meant = command(like: word) {
                throw ValidationError("\(word) is no command of subspy; did you mean \(meant)?")
            }
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as CommandFailure {
            StandardError.say(failure.sentence)
            Glibc.exit(failure.code)
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

    /// The subcommand that resembles a word; nil for a correct word, and for one that resembles none.
    static func command(like word: String) -> String? {
        let names = configuration.subcommands.map { $0._commandName }
        guard !names.contains(word) else { return nil }
        let distances = names.map { (name: $0, distance: distance($0[...], word[...], atMost: 2)) }
        return distances.filter { $0.distance <= 2 }.min { $0.distance < $1.distance }?.name
    }

    /// The number of letters to change, add, take away or swap with the next one; numbers above `limit` are not exact.
    private static func distance(_ left: Substring, _ right: Substring, atMost limit: Int) -> Int {
        let common = zip(left, right).prefix { $0 == $1 }.count
        let (left, right) = (left.dropFirst(common), right.dropFirst(common))
        guard limit > 0, !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
        var others = [
            distance(left.dropFirst(), right.dropFirst(), atMost: limit - 1),
            distance(left.dropFirst(), right, atMost: limit - 1), distance(left, right.dropFirst(), atMost: limit - 1),
        ]
        if left.prefix(2).elementsEqual(right.prefix(2).reversed()) {
            others.append(distance(left.dropFirst(2), right.dropFirst(2), atMost: limit - 1))
        }
        return 1 + (others.min() ?? 0)
    }
}
