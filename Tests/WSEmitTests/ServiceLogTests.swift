import Logging
import RedisPubSub
import Testing

@testable import ws_emit

@Suite struct ServiceLogTests {
    @Test func `the sentence comes first, then the cause, then the other facts by name`() {
        let text = ServiceLog.text(of: "Redis is away", ["port": "6379", "cause": "no answer", "host": "db"])
        #expect(text == #"Redis is away cause="no answer" host=db port=6379"#)
    }

    @Test(
        arguments: [
            ("", #""""#), ("plain", "plain"), (#"a\b"#, #"a\b"#), ("a b", #""a b""#), ("a=b", #""a=b""#),
            (#"a \b"#, #"'a \b'"#), ("it's", #""it's""#), (#"SET x "a b""#, #"'SET x "a b"'"#),
            (#"it's \" forged=1 ""#, #""it's \\\" forged=1 \"""#),
        ])
    func `a value that could be read as several is quoted as for a shell`(value: String, text: String) {
        #expect(ServiceLog.text(of: "said", ["key": "\(value)"]) == "said key=" + text)
    }

    @Test(
        arguments: [
            "\n", "\r", "\t", "\0", "\u{1b}[31m", "\u{7f}", "\u{85}", "\u{9b}31m", "\u{2028}", "\u{2029}", "\u{202e}",
            "\u{2066}", "\u{200f}", "\u{feff}", "\u{e0041}",
        ])
    func `no text ends the line, moves the cursor or turns the direction`(foreign: String) {
        let text = ServiceLog.text(
            of: "said \(foreign)", ["text": "\(foreign)", "list": ["\(foreign)"], "table": ["key": "\(foreign)"]])
        #expect(text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }, "\(text)")
        #expect(!text.unicodeScalars.contains { foreign.unicodeScalars.first == $0 }, "\(text)")
        #expect(text.contains(#"\"#))
    }

    @Test func `a text without end is cut`() {
        let long = String(repeating: "x", count: 1_000_000)
        let text = ServiceLog.text(of: "\(long)", ["a": "\(long)", "b": "\(long)"])
        #expect(text.count < 7000 && text.contains("…"))
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (1_795_876_165_123, "2026-11-28T14:29:25.123Z"),
        ] as [(Int64, String)])
    func `times are written by ISO 8601`(milliseconds: Int64, text: String) {
        #expect(WallClock.text(milliseconds) == text)
    }
}
