import Bytes
import Testing

@Suite struct GlobPatternTests {
    private func matches(_ pattern: String, _ text: String) -> Bool {
        Array(text.utf8).withUnsafeBytes { GlobPattern(pattern).matches($0) }
    }

    @Test(arguments: [
        ("", ""), ("a", "a"), ("*", ""), ("*", "anything"), ("room-*", "room-"), ("room-*", "room-1"),
        ("*-1", "room-1"),
        ("a*b*c", "aXbYbZc"), ("?", "é"), ("??", "日本"), ("[ab]", "b"), ("[a-c]", "b"), ("[!a-c]", "d"), ("[^a]", "b"),
        ("[]a]", "]"), ("[a-]", "-"), ("[", "["), ("[a", "[a"), ("\\*", "*"), ("\\[a]", "[a]"), ("a\\", "a\\"),
        ("**", "x"), ("*комната*", "моя комната 1"),
    ])
    func `a pattern describes the whole text`(pattern: String, text: String) { #expect(matches(pattern, text)) }

    @Test(arguments: [
        ("", "a"), ("a", ""), ("a", "ab"), ("a", "ba"), ("room-?", "room-"), ("room-?", "room-12"), ("[ab]", "c"),
        ("[!a-c]", "b"), ("\\*", "a"), ("a*b", "a"), ("*a", "ab"), ("?", ""), ("[ab]", ""),
    ])
    func `other texts do not match`(pattern: String, text: String) { #expect(!matches(pattern, text)) }

    @Test func `many stars take no exponential time`() {
        #expect(!matches(String(repeating: "a*", count: 30) + "b", String(repeating: "a", count: 5_000)))
    }
}
