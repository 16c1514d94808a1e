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
        ("**", "x"), ("*комната*", "моя комната 1"), ("a|b", "a"), ("a|b", "b"), ("price|st*k", "stock"), ("a|", ""),
        ("a\\|b", "a|b"), ("[a|b]", "|"), ("[äö]x", "öx"), ("[а-я]", "д"), ("[!a]", "日"), ("[\\]]", "]"), ("*??", "日本"),
        ("*a*b*", "xxaxxbxx"), ("a*", "a"), ("*:*:*", "a:b:c"), ("[", "["), ("\\", "\\"), ("*|a", "b"),
    ])
    func `a pattern describes the whole text`(pattern: String, text: String) { #expect(matches(pattern, text)) }

    @Test(arguments: [
        ("", "a"), ("a", ""), ("a", "ab"), ("a", "ba"), ("room-?", "room-"), ("room-?", "room-12"), ("[ab]", "c"),
        ("[!a-c]", "b"), ("\\*", "a"), ("a*b", "a"), ("*a", "ab"), ("?", ""), ("[ab]", ""),
        ("a|b", "a|b"), ("a|b", "ab"), ("a|b", ""), ("a\\|b", "a"), ("[äö]", "ü"), ("*??", "日"), ("[!日]", "日"),
        ("x|*a", "b"),
    ])
    func `other texts do not match`(pattern: String, text: String) { #expect(!matches(pattern, text)) }

    @Test(arguments: [
        (String(repeating: "a*", count: 30) + "b", 65_536), (String(repeating: "*a", count: 60) + "*b", 65_536),
        (String(repeating: "?*", count: 50) + "b", 65_536), ("*" + String(repeating: "a", count: 10) + "b*", 65_536),
        (String(repeating: "[ab]*", count: 30) + "c|" + String(repeating: "a*", count: 30) + "c", 65_536),
    ])
    func `many stars take no exponential time`(pattern: String, length: Int) {
        #expect(!matches(pattern, String(repeating: "a", count: length)))
    }

    @Test func `a name is bytes, and those that are no UTF-8 are characters of their own`() {
        for (name, pattern, isMatched) in [
            ([0xFF, 0x61], "?a", true), ([0xED, 0xA0, 0x80], "?", true), ([0xC3], "?", true),
            ([0xFF, 0xFE], "?", false),
            ([0xFF], "[a-z]", false), ([0xFF], "[!a-z]", true), ([0x00], "?", true),
        ] as [([UInt8], String, Bool)] {
            #expect(name.withUnsafeBytes { GlobPattern(pattern).matches($0) } == isMatched, "\(name) \(pattern)")
        }
    }

    @Test func `random patterns match as a simple matcher does`() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<5_000 {
            let pattern = (0..<Int.random(in: 0...8, using: &random)).map { _ in
                "ab*?|".randomElement(using: &random) ?? "a"
            }
            let name = (0..<Int.random(in: 0...8, using: &random)).map { _ in "ab".randomElement(using: &random) ?? "a"
            }
            let simple = pattern.split(separator: "|", omittingEmptySubsequences: false).contains {
                simply($0, name[...])
            }
            #expect(matches(String(pattern), String(name)) == simple, "\(String(pattern)) \(String(name))")
        }
    }

    private func simply(_ pattern: ArraySlice<Character>, _ name: ArraySlice<Character>) -> Bool {
        switch pattern.first {
        case nil: name.isEmpty
        case "*": simply(pattern.dropFirst(), name) || !name.isEmpty && simply(pattern, name.dropFirst())
        case let first:
            !name.isEmpty && (first == "?" || first == name.first) && simply(pattern.dropFirst(), name.dropFirst())
        }
    }

    @Test(arguments: [
        ("*", true), ("**", true), ("a|*", true), ("", false), ("a*", false), ("\\*", false), ("*a", false),
        ("[*]", false),
        ("?*", false),
    ])
    func `a pattern that matches everything is known`(pattern: String, matchesEverything: Bool) {
        #expect(GlobPattern(pattern).matchesEverything == matchesEverything)
    }

    @Test(arguments: [
        ("/chat", true), ("*", true), ("?chat", true), ("[/x]chat", true), ("\\/a", true), ("/a|/b", true),
        ("chat", false),
        ("/a|b", false), ("", false), ("/a|", false), ("[!/]a", false),
    ])
    func `the first character of a pattern is known`(pattern: String, canBeginWithSlash: Bool) {
        #expect(GlobPattern(pattern).canBegin(with: UInt8(ascii: "/")) == canBeginWithSlash)
    }
}
