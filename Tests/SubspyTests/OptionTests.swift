import ArgumentParser
import Testing

@testable import subspy

/// Wrong options, and what subspy says of them on one line before it ends with code 64.
@Suite struct OptionTests {
    private func sentence(_ arguments: String) -> String? {
        let words = arguments.split(separator: " ").map { $0 == "''" ? "" : String($0) }
        // Groups of options stand for the commands that have them: to parse a whole command takes tenths of a second in a
        // debug build.
        let parsers: [String: any ParsableArguments.Type] = [
            "output": OutputOptions.self, "stop": StopOptions.self, "filter": FilterOptions.self,
            "rewrite": RewriteOptions.self, "publish": PublishOptions.self, "top": TopCommand.self,
            "emit": EmitCommand.self,
            "record": RecordCommand.self, "replay": ReplayCommand.self, "convert": ConvertCommand.self,
            "diff": DiffCommand.self, "decode": DecodeCommand.self, "encode": EncodeCommand.self,
        ]
        let command = words.first.flatMap { parsers[$0] } ?? StopOptions.self
        do {
            _ = try command.parse(Array(words.dropFirst()))
            return nil
        } catch {
            #expect(command.exitCode(for: error) == .validationFailure)
            return command.message(for: error)
        }
    }

    @Test(arguments: [
        ("output --raw --redact k", "--raw does not go with --redact: the payload's own bytes would show the values"),
        ("output --hex --redact k", "--hex does not go with --redact: the payload's own bytes would show the values"),
        (
            "output --opcodes --redact k",
            "--opcodes does not go with --redact: the payload's own bytes would show the values"
        ),
        ("output --hex --output json", "--hex does not go with --output"),
        ("output --audit --format %e", "--audit does not go with --format"),
        ("output --output json --format %e", "--output does not go with --format"),
        ("output --raw --timestamps iso", "--raw prints nothing but payloads: no --timestamps"),
        ("output --raw --truncate 3", "--raw prints whole payloads: no --truncate"),
        ("output --truncate 0", "--truncate must be at least 1"), ("stop --count 0", "--count must be at least 1"),
        ("top --once --count 2", "--once does not go with --count"),
        ("top --max-rows 0", "--max-rows must be at least 1"), ("top --every 10ms", "--every must be at least 100ms"),
        ("emit x --room ''", "--room must not be empty: leave it out to reach everybody"),
        ("emit x --keep yes", "--keep goes with --room: a message for everybody can't be kept"),
        ("emit x --keep=60 --key a", "--keep goes with --room: a message for everybody can't be kept"),
        ("publish --protocol 4", "--protocol goes with --as pickle"),
        ("publish --as pickle --protocol 6", "--protocol must be 0 to 5"),
        ("emit x --repeat 0", "--repeat must be at least 1"),
        ("emit x --every 1s", "--every goes with --repeat or with --data -"),
        ("rewrite --set-room ''", "--set-room must not be empty"),
        ("rewrite --set-namespace chat", "--set-namespace must begin with /"),
        ("rewrite --set-room a --map-room b=c", "--map-room does not go with --set-room"),
        ("replay x --limit 0", "--limit must be at least 1"),
        ("replay - --loop", "--loop needs a file: standard input can be read once only"),
        ("replay x --secret-file x", "--secret-file goes with --to-http"),
        ("replay x --to-http http://127.0.0.1 --channel x", "--channel does not go with --to-http"),
        ("record - --rotate 1M", "--rotate needs a file"), ("record x --rotate 1", "--rotate must be at least 1k"),
        ("encode 1 --protocol 6", "--protocol must be 0 to 5"),
        ("encode 1 --as json --protocol 2", "--protocol goes with --as pickle"),
        ("encode 1 --hex --base64", "--hex does not go with --base64"),
        ("decode --hex 80 --base64 QQ==", "--hex does not go with --base64"),
        ("convert x ''", "the file to write must have a name"),
        ("diff - x", "a recording to be compared must be a file"),
        ("diff a b --limit=-1", "--limit must not be negative"),
    ])
    func `options that do not go together are told in one sentence`(arguments: String, expected: String) {
        #expect(sentence(arguments) == expected)
    }

    @Test(arguments: [
        "output --output xml", "output --color red", "output --timestamps never", "output --redact ''",
        "output --format ''", "output --format %q", "filter --event /(/", "filter --sample 2", "stop --duration soon",
        "stop --nonsense", "top --by colour", "rewrite --map-room x", "rewrite --map-room =x", "rewrite --as xml",
        "replay x --speed fast", "replay x --to-http https://x/emit", "publish --namespace chat", "emit x --keep 0",
        "emit x --keep nan", "emit x --keep soon",
        "emit x --key \(String(repeating: "k", count: 1025))",
    ])
    func `a wrong value is told with its option`(arguments: String) throws {
        let words = arguments.split(separator: " ")
        let option = try #require(words.first { $0.hasPrefix("--") })
        #expect(try #require(sentence(arguments)).contains(option))
    }

    @Test(arguments: [
        ("https://x/emit", "https is not spoken here: name the address of ws-emit itself, with http://"),
        ("localhost:1", "write http://host:port/emit"), ("http://", "the URL names no host"),
        ("http://127.0.0.1:x", "the port of the URL is no number from 1 to 65535"),
        ("http://u:geheim@127.0.0.1", "the URL of /emit has no user and password"),
        ("http://127.0.0.1/a b", "the path of the URL must be percent-encoded, without # and with a / first"),
        ("http://[::1", "an IPv6 address ends with ]"),
    ])
    func `a wrong address of emit is refused without repeating it`(url: String, expected: String) {
        #expect {
            try HTTPTarget(url)
        } throws: {
            ($0 as? ValidationError)?.message == expected
        }
    }

    @Test(arguments: [
        ("http://127.0.0.1:7788", "http://127.0.0.1:7788/emit", true),
        ("http://localhost/", "http://localhost/emit", true),
        ("http://[::1]:80/x", "http://[::1]/x", true), ("HTTP://192.0.2.1", "http://192.0.2.1/emit", false),
        ("http://127.evil.example", "http://127.evil.example/emit", false),
    ])
    func `an address has a default port and path`(url: String, description: String, isOnThisMachine: Bool) throws {
        let target = try HTTPTarget(url)
        #expect("\(target)" == description)
        #expect(target.isOnThisMachine == isOnThisMachine)
    }
}
