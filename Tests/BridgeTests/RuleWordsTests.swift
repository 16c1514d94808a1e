import Testing

@testable import Bridge

@Suite struct RuleWordsTests {
    @Test(arguments: [
        ("a b", ["a", "b"]), ("  a\t b  ", ["a", "b"]), ("", []), ("   ", []), ("# a", []), ("a # b", ["a"]),
        ("a#b", ["a#b"]),
        ("a #", ["a"]), (#""a b" c"#, ["a b", "c"]), (#"key="/a b""#, ["key=/a b"]), ("\"#a\"", ["#a"]),
        ("\\#a", ["\\#a"]),
        (#"a\ b"#, [#"a\ b"#]), (#""a\"b""#, [#"a"b"#]), (#"a\"b"#, [#"a"b"#]), (#""a\*""#, [#"a\*"#]),
        (#""a\\" b"#, [#"a\\"#, "b"]),
        ("\"\"", [""]), (#"a"" b"#, ["a", "b"]), ("\"a # b\"", ["a # b"]), ("a\\", ["a\\"]), ("ä 日", ["ä", "日"]),
        (#""a""b""#, ["ab"]),
    ])
    func `words stand between blanks or in double quotes`(line: String, words: [String]) {
        #expect(RuleWords(line).words == words && !RuleWords(line).isQuoteOpen)
    }

    @Test(arguments: ["\"", #"a "b"#, #"a" b # c"#, #""a\""#])
    func `an open quote is seen`(line: String) { #expect(RuleWords(line).isQuoteOpen) }
}
