import Foundation
import Testing

@testable import Bridge
@testable import ws_emit

@Suite struct RuleSettingsTests {
    private static func settings(_ arguments: [String], environment: [String: String] = [:]) throws -> Settings {
        let command = try WSEmitCommand.parse(["--redis", "none", "--secret", "s"] + arguments)
        return try Settings(command, environment: Environment { environment[$0] })
    }

    /// Calls `body` with the path of a file with this text.
    private static func withFile(_ text: String, _ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("rules-\(UUID())").path
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private static func age(_ settings: Settings, room: String, event: String = "e") -> Duration? {
        settings.bridge.rules.policy(namespace: "/", room: .init(room), event: .init(event)).keep?.age
    }

    @Test func `options go before the file, and what a rule doesn't say is that of the options`() throws {
        try Self.withFile("b keep=2\nc keep=3\n") { path in
            let settings = try Self.settings([
                "--keep", "a", "--keep", "b keep=9 key=/id", "--rules", path, "--keep-age", "7", "--keep-room-values",
                "5", "--keep-room-bytes", "6",
            ])
            #expect(
                ["a", "b", "c", "d"].map { Self.age(settings, room: $0) } == [
                    .seconds(7), .seconds(9), .seconds(3), nil,
                ])
            let keep = settings.bridge.rules.policy(namespace: "/", room: "b", event: "e").keep
            #expect(keep == KeepRule(age: .seconds(9), key: JSONPointer("/id"), maxValues: 5, maxBytes: 6))
        }
    }

    @Test func `variables hold the same, and options go before them`() throws {
        try Self.withFile("c keep=3") { path in
            let environment = ["KEEP": "a keep=1\nb keep=2\n", "RULES": path]
            let settings = try Self.settings([], environment: environment)
            #expect(["a", "b", "c"].map { Self.age(settings, room: $0) } == [.seconds(1), .seconds(2), .seconds(3)])
            let other = try Self.settings(["--keep", "b keep=5"], environment: environment)
            #expect(["a", "b", "c"].map { Self.age(other, room: $0) } == [nil, .seconds(5), .seconds(3)])
        }
    }

    @Test func `each wrong line is a sentence with its place`() throws {
        try Self.withFile("a keep\nb slow=fast\n\nc key=/a\n") { path in
            let error = #expect(throws: SettingsError.self) {
                try Self.settings(["--rules", path], environment: ["KEEP": "a\nb colour=red"])
            }
            let places = error?.sentences.map { $0.prefix { $0 != " " } }
            #expect(places == ["KEEP:2:", "\(path):2:", "\(path):4:"] && error?.exitCode == 64)
        }
    }

    @Test func `warnings are for the log`() throws {
        let warnings = try Self.settings(["--keep", "*"]).warnings
        #expect(warnings.count == 1 && warnings[0].contains("--keep-bytes"))
    }
}
