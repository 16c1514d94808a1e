import Bytes
import Foundation
import Testing

@testable import Bridge

@Suite struct RoomRulesTests {
    private static func rules(_ texts: String..., name: String = "rules.conf", isKeepImplied: Bool = false) throws
        -> RoomRules
    {
        let sources = texts.map { RoomRules.Source(name: name, text: Array($0.utf8), isKeepImplied: isKeepImplied) }
        return try RoomRules(sources, configuration: BridgeConfiguration())
    }

    private static func errors(_ bytes: [UInt8], isKeepImplied: Bool = false) -> [String] {
        do throws(RuleErrors) {
            let source = RoomRules.Source(name: "rules.conf", text: bytes, isKeepImplied: isKeepImplied)
            _ = try RoomRules([source], configuration: BridgeConfiguration())
            return []
        } catch {
            return error.errors.map(\.description)
        }
    }

    private static func errors(_ text: String) -> [String] { errors(Array(text.utf8)) }

    private static func seconds(
        _ rules: RoomRules, _ room: ByteString, _ event: ByteString, _ namespace: ByteString = "/"
    ) -> Int64? {
        rules.policy(namespace: namespace, room: room, event: event).keep?.age.components.seconds
    }

    private static func mayKeep(_ rules: RoomRules, _ room: ByteString, _ namespace: ByteString = "/") -> Bool {
        room.withUnsafeBytes { rules.mayKeep(namespace: namespace, room: $0) }
    }

    // MARK: Decisions

    @Test func `without rules nothing is kept and slow clients are disconnected`() {
        let rules = RoomRules()
        #expect(rules.isEmpty && !rules.keepsAny && !rules.hasSlowPolicies)
        #expect(rules.policy(namespace: "/", room: "a", event: "b") == RoomPolicy())
        #expect(!Self.mayKeep(rules, "a"))
    }

    @Test func `for each matter the first rule decides that mentions it`() throws {
        let rules = try Self.rules(
            "a slow=latest\na* keep=1\na keep=2 slow=drop-oldest\nb* keep=3 slow=disconnect\n* slow=latest")
        let policies = ["a", "ab", "b", "c"].map { rules.policy(namespace: "/", room: .init($0), event: "e") }
        #expect(policies.map { $0.keep?.age } == [.seconds(1), .seconds(1), .seconds(3), nil])
        #expect(policies.map(\.slow) == [.latest, .latest, .disconnect, .latest])
        #expect(rules.keepsAny && rules.hasSlowPolicies)
    }

    @Test func `the key of latest is that of its rule, or of the rule that keeps`() throws {
        let rules = try Self.rules("a slow=latest key=/a\nb slow=latest\n* keep key=/c")
        let policies = ["a", "b", "c"].map { rules.policy(namespace: "/", room: .init($0), event: "e") }
        #expect(policies.map(\.slowKey) == ["/a", "/c", "/c"].map { JSONPointer($0) })
        #expect(policies.allSatisfy { $0.keep?.key == JSONPointer("/c") })
    }

    @Test func `a rule is for its event and namespace`() throws {
        let rules = try Self.rules(
            "a event=price|stock keep=1\na namespace=/chat keep=2\na namespace=* event=x* keep=3")
        #expect(Self.seconds(rules, "a", "price") == 1 && Self.seconds(rules, "a", "stock") == 1)
        #expect(Self.seconds(rules, "a", "other") == nil && Self.seconds(rules, "b", "price") == nil)
        #expect(Self.seconds(rules, "a", "price", "/chat") == 2 && Self.seconds(rules, "a", "xyz", "/chat") == 2)
        #expect(Self.seconds(rules, "a", "xyz") == 3 && Self.seconds(rules, "a", "xyz", "/other") == 3)
    }

    @Test func `keep=no decides too`() throws {
        let rules = try Self.rules("shop:private keep=no\nshop:log event=line keep=no\nshop:* keep=1")
        #expect(Self.seconds(rules, "shop:private", "e") == nil && Self.seconds(rules, "shop:1", "e") == 1)
        #expect(Self.seconds(rules, "shop:log", "line") == nil && Self.seconds(rules, "shop:log", "e") == 1)
    }

    @Test func `a room may keep messages if any event of it is kept`() throws {
        let rules = try Self.rules(
            "shop:private keep=no\nshop:log event=line keep=no\nshop:* event=price keep\nx namespace=/n keep")
        #expect(
            !Self.mayKeep(rules, "shop:private") && Self.mayKeep(rules, "shop:log") && Self.mayKeep(rules, "shop:1"))
        #expect(!Self.mayKeep(rules, "x") && Self.mayKeep(rules, "x", "/n") && !Self.mayKeep(rules, "shop:1", "/n"))
        #expect(!Self.mayKeep(try Self.rules("* slow=latest"), "a"))
    }

    @Test func `names are compared byte by byte`() throws {
        let rules = try Self.rules("é keep=1")
        #expect(Self.seconds(rules, "\u{e9}", "e") == 1 && Self.seconds(rules, "e\u{301}", "e") == nil)
    }

    @Test func `many rules with hostile names take little time`() throws {
        let lines = (0..<10).map { "*a*a*a*a*b\($0) keep\n" }.joined()
        let rules = try Self.rules(lines)
        let name = ByteString(String(repeating: "a", count: 64 << 10))
        #expect(!Self.mayKeep(rules, name))
    }

    // MARK: Texts

    @Test func `a file may come from Windows`() throws {
        let rules = try Self.rules("\u{FEFF}a keep=1\r\n\r\n# c\r\nb keep=2\r\n")
        #expect(Self.seconds(rules, "a", "e") == 1 && Self.seconds(rules, "b", "e") == 2 && rules.rules.count == 2)
        #expect(rules.rules.map(\.place) == ["rules.conf:1", "rules.conf:4"])
    }

    @Test func `sources follow one another`() throws {
        let rules = try Self.rules("a keep=1", "a keep=2\nb keep=2", name: "--keep", isKeepImplied: true)
        #expect(Self.seconds(rules, "a", "e") == 1 && Self.seconds(rules, "b", "e") == 2)
        #expect(rules.rules.map(\.place) == ["--keep", "--keep:1", "--keep:2"])
    }

    @Test func `all wrong lines are reported, and many are counted`() {
        #expect(
            Self.errors("a keep\nb slow=x\n\nc key=/a\r\n").map { $0.prefix(13) } == ["rules.conf:2:", "rules.conf:4:"])
        let many = Self.errors(String(repeating: "a\n", count: 25))
        #expect(many.count == 21 && many.last == "rules.conf: 5 more lines are wrong")
    }

    @Test func `lines have a bound`() {
        let fitting = "a keep #" + String(repeating: "x", count: BridgeLimits.ruleLineBytes - 8)
        #expect(Self.errors(fitting) == [])
        #expect(
            Self.errors("\n" + fitting + "x") == [
                "rules.conf:2: the line has 4097 bytes, and at most 4096 are possible: write one rule a line"
            ])
    }

    @Test func `the number of rules has a bound`() {
        #expect(Self.errors(String(repeating: "a keep\n", count: 1000)) == [])
        #expect(
            Self.errors(String(repeating: "a keep\n", count: 1002)) == [
                "rules.conf:1001: this is rule 1001, and at most 1000 are possible: use patterns"
            ])
    }

    @Test func `a text has a bound`() {
        let line = Array(("#" + String(repeating: "x", count: 1022) + "\n").utf8)
        let text = Array(repeating: line, count: 1024).flatMap { $0 }
        #expect(text.count == BridgeLimits.ruleFileBytes && Self.errors(text) == [])
        #expect(Self.errors(text + [10]) == ["rules.conf: it is larger than 1 MiB: write one rule a line"])
    }

    @Test func `a line in another encoding is explained`() {
        #expect(
            Self.errors([0x61, 0x0A, 0x62, 0xE9]).last
                == "rules.conf:2: the line isn't UTF-8: save the file in this encoding")
        #expect(
            Self.errors([0xFF, 0xFE, 0x61, 0x00]) == [
                "rules.conf:1: the line isn't UTF-8: save the file in this encoding"
            ])
    }

    @Test func `random bytes never trap`() {
        let alphabet = Array("a*?[]|\\\"#= \t\r\n,keepslowkey/~=0\u{e9}".utf8) + [0xFF, 0x00]
        for _ in 0..<5_000 {
            let bytes = (0..<Int.random(in: 0...40)).map { _ in alphabet.randomElement() ?? 0 }
            _ = Self.errors(bytes, isKeepImplied: Bool.random())
        }
    }

    // MARK: Warnings

    @Test(arguments: ["* keep", "** keep event=*", "a|* keep", "* keep namespace=* key=/id"])
    func `a rule that keeps everything draws a warning`(line: String) throws {
        let warning =
            "rules.conf:1: the rule keeps messages of all rooms and events, up to 7 bytes of memory (--keep-bytes); "
            + "name rooms or events, such as shop:* or event=price"
        #expect(try Self.rules(line).warnings(keepBytes: 7) == [warning])
    }

    @Test(arguments: ["* keep event=price", "a* keep", "* keep=no", "* slow=latest"])
    func `a narrower rule doesn't`(line: String) throws { #expect(try Self.rules(line).warnings(keepBytes: 7) == []) }

    @Test func `rules that keep draw a warning while keeping is off`() throws {
        #expect(
            try Self.rules("* keep").warnings(keepBytes: 0) == [
                "rules keep messages, and --keep-bytes 0 turns that off"
            ])
    }

    @Test(arguments: [
        ("a* keep\na* keep=1h", true), ("* event=x keep\na event=x keep", true),
        ("a slow=latest\na keep\na keep slow=latest", true),
        ("a* keep\nab keep=1h", false), ("a keep\na slow=latest", false), ("a event=x keep\na keep", false),
        ("a keep\na namespace=/b keep", false), ("a namespace=* keep\na keep=1h", true),
        ("a keep\na keep slow=latest", false),
    ])
    func `a rule without effect draws a warning`(text: String, isWarned: Bool) throws {
        let warnings = try Self.rules(text).warnings(keepBytes: 7)
        #expect(warnings.contains { $0.contains("the rule has no effect, because rules.conf:") } == isWarned)
    }

    @Test func `many warnings are counted`() throws {
        let warnings = try Self.rules(String(repeating: "a keep\n", count: 1000)).warnings(keepBytes: 7)
        #expect(warnings.count == 21 && warnings.last == "979 more rules are probably mistakes")
    }

    // MARK: Examples

    private static func text(_ path: String) throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
        return try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    @Test func `the example of contrib is right and warns of nothing`() throws {
        let rules = try Self.rules(try Self.text("contrib/rules.conf"))
        #expect(!rules.isEmpty && rules.keepsAny && rules.hasSlowPolicies && rules.warnings(keepBytes: 7) == [])
        #expect(rules.policy(namespace: "/", room: "shop:7", event: "price").keep?.key == JSONPointer("/sku"))
        #expect(Self.seconds(rules, "shop:7", "price") == 3600 && Self.seconds(rules, "shop:basket:7", "price") == nil)
        #expect(Self.seconds(rules, "lobby one", "seats taken", "/games") == 300)
    }

    @Test func `the rules of the documents are right and warn of nothing`() throws {
        let blocks = try Self.text("docs/rules.md").components(separatedBy: "```conf\n").dropFirst()
        #expect(!blocks.isEmpty)
        for block in blocks {
            let rules = try Self.rules(try #require(block.components(separatedBy: "```").first))
            #expect(!rules.isEmpty && rules.warnings(keepBytes: 7) == [])
        }
    }
}
