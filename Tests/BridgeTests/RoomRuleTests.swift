import Bytes
import Testing

@testable import Bridge

@Suite struct RoomRuleTests {
    private static let defaults = KeepRule(age: .seconds(1), key: nil, maxValues: 2, maxBytes: 3)

    private static func rule(_ line: String, isKeepImplied: Bool = false) throws -> RoomRule? {
        try RoomRule(line, place: "rules.conf:3", isKeepImplied: isKeepImplied, defaults: defaults)
    }

    private static func cause(_ line: String, isKeepImplied: Bool = false) -> String? {
        do throws(RuleError) {
            _ = try RoomRule(line, place: "p", isKeepImplied: isKeepImplied, defaults: defaults)
            return nil
        } catch {
            return error.cause
        }
    }

    @Test func `a rule has all options in any order`() throws {
        let rule = try #require(
            try Self.rule(
                #""shop *" values=10 slow=latest key="/a b" bytes=64K keep=1h namespace=/a|/b event=price # why"#))
        #expect(rule.room == GlobPattern("shop *") && rule.event == GlobPattern("price"))
        #expect(rule.namespace == GlobPattern("/a|/b") && rule.slow == .latest && rule.place == "rules.conf:3")
        let keep = KeepRule(age: .seconds(3600), key: JSONPointer("/a b"), maxValues: 10, maxBytes: 64 << 10)
        #expect(rule.keep == .yes(keep))
    }

    @Test func `what a rule doesn't mention is open, or the default`() throws {
        let slow = try #require(try Self.rule("a slow=drop-oldest"))
        #expect(slow.keep == nil && slow.slow == .dropOldest && slow.event == nil && slow.namespace == GlobPattern("/"))
        #expect(try Self.rule("a keep")?.keep == .yes(Self.defaults))
        #expect(try Self.rule("a keep=no")?.keep == .no)
        #expect(try Self.rule("a keep slow=disconnect")?.slow == .disconnect)
    }

    @Test func `a key is for keep and for latest`() throws {
        let latest = try #require(try Self.rule("a slow=latest key=/sku"))
        #expect(latest.key == JSONPointer("/sku") && latest.keep == nil)
        #expect(try Self.rule("a keep=no slow=latest key=/sku")?.keep == .no)
        #expect(Self.cause("a slow=drop-oldest key=/sku") != nil)
    }

    @Test func `keep may be implied`() throws {
        #expect(try Self.rule("a", isKeepImplied: true)?.keep == .yes(Self.defaults))
        #expect(
            try Self.rule("a values=7", isKeepImplied: true)?.keep
                == .yes(KeepRule(age: .seconds(1), maxValues: 7, maxBytes: 3)))
        #expect(
            try Self.rule("a keep=2 slow=latest", isKeepImplied: true)?.keep
                == .yes(KeepRule(age: .seconds(2), maxValues: 2, maxBytes: 3)))
        #expect(try Self.rule("a keep=no", isKeepImplied: true)?.keep == .no)
    }

    @Test(arguments: ["", "  \t", "# keep", "   # a keep"])
    func `a line may be empty or a comment`(line: String) throws { #expect(try Self.rule(line) == nil) }

    @Test func `a room may be called like an option`() throws {
        #expect(try Self.rule("keep", isKeepImplied: true)?.room == GlobPattern("keep"))
        #expect(try Self.rule(#"event\=x keep"#)?.room == GlobPattern("event=x"))
        #expect(try Self.rule("a=b keep")?.room == GlobPattern("a=b"))
    }

    private static let options =
        "is no option of a rule: use event=, namespace=, keep, key=, values=, bytes= or slow="

    @Test(arguments: [
        (#"a "keep"#, #"a double quote isn't closed: put one at the end of the name, or \" for a quote in a name"#),
        ("\"\" keep", "the room is empty: write its name or a pattern, such as shop:*"),
        ("keep=1h", "the rule begins with keep=1h: write its rooms before it, such as shop:* or *"),
        ("event=price keep", "the rule begins with event=price: write its rooms before it, such as shop:* or *"),
        ("a colour=red", "colour=red \(options)"),
        ("a Keep", "Keep \(options), and put names with blanks in double quotes"),
        ("my room keep", "room \(options), and put names with blanks in double quotes"),
        ("a keep keep=1h", "the rule has keep twice: one is possible"),
        ("a slow=latest slow=latest", "the rule has slow twice: one is possible"),
        ("a", "the rule says nothing of its rooms: add keep, keep=no or slow="),
        ("a event=b", "the rule says nothing of its rooms: add keep, keep=no or slow="),
        ("a keep event", "event has no value: write an event or a pattern, such as event=price"),
        ("a keep event=", "event= has no value: write an event or a pattern, such as event=price"),
        (
            "a keep namespace=chat",
            "namespace=chat is no namespace, since they begin with /: write one or a pattern, such as namespace=/chat or namespace=*"
        ),
        (
            "a keep=soon",
            "keep=soon is no time from 50ms to 366d: use keep, keep=no or a time, such as keep=90s, keep=1h or keep=7d"
        ),
        ("a keep=", "keep= has no value: use keep, keep=no or a time, such as keep=90s, keep=1h or keep=7d"),
        (
            "a keep key=sku",
            "key=sku is no JSON pointer: write the place of the key in the event's data, such as key=/sku, with ~1 for / and ~0 for ~ in a key"
        ),
        (
            "a key=/sku",
            "key= says which messages take one another's place, and the rule has neither keep nor slow=latest: add one, or leave key= out"
        ),
        (
            "a keep=no values=1",
            "values= says how messages are kept, and the rule keeps none: add keep, or leave values= out"
        ),
        (
            "a slow=latest bytes=1",
            "bytes= says how messages are kept, and the rule keeps none: add keep, or leave bytes= out"
        ),
        (
            "a keep values=0",
            "values=0 is no whole number from 1 to 1000000: write how many messages of a room are kept, such as values=100"
        ),
        (
            "a keep bytes=1MB",
            "bytes=1MB is no size from 1 to 1024G: write a size, such as bytes=65536, bytes=64K or bytes=1M"
        ),
        ("a slow=fast", "slow=fast is no policy: use disconnect, drop-oldest or latest"),
        ("a slow", "slow has no value: use disconnect, drop-oldest or latest"),
    ])
    func `a wrong line is explained`(line: String, cause: String) { #expect(Self.cause(line) == cause) }

    @Test(arguments: ["a keep=0", "a keep=49ms", "a keep=367d", "a keep=-1", "a keep=yes", "a keep=1e3", "a keep=1w"])
    func `a wrong time is explained`(line: String) {
        #expect(Self.cause(line)?.contains("is no time from 50ms to 366d") == true)
    }

    @Test(arguments: [
        "a keep values=1", "a keep values=1000000", "a keep bytes=1", "a keep bytes=1024G", "a keep=50ms",
        "a keep=366d",
    ])
    func `the bounds themselves are possible`(line: String) { #expect(Self.cause(line) == nil) }

    @Test(arguments: [
        "a keep values=1000001", "a keep values=1.5", "a keep bytes=0", "a keep bytes=1025G", "a keep bytes=-1",
    ])
    func `values beyond the bounds are not`(line: String) { #expect(Self.cause(line) != nil) }

    @Test func `a wrong word is shown on one line and cut`() {
        let cause = Self.cause("a keep=\u{1b}[2J" + String(repeating: "x", count: 5000)) ?? ""
        #expect(cause.hasPrefix("keep=\\x1b[2J") && cause.count < 400)
    }
}
