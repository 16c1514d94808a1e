import Bytes
import Testing

@testable import subspy

@Suite struct TextPatternTests {
    @Test(arguments: [
        ("update", "update", true), ("update", "updates", false), ("/date/", "updates", true),
        ("/^date/", "updates", false),
        ("/", "/", true), ("//", "//", true), ("/chat", "/chat", true), ("/^room-[0-9]+$/", "room-12", true),
    ])
    func `a text between slashes is a regular expression, others are globs`(
        argument: String, text: String, matches: Bool
    )
        throws
    {
        #expect(try TextPattern(argument: argument).matches(ByteString(text)) == matches)
    }

    @Test func `a wrong regular expression is an error`() {
        #expect(throws: (any Error).self) { try TextPattern(argument: "/(/") }
    }
}
