import Bytes
import Testing

@Suite struct PrintableTextTests {
    @Test(arguments: [
        ("an ordinary näme 名前 🚀", "an ordinary näme 名前 🚀"),
        ("a\nb\r\tc\0", "a\\nb\\r\\tc\\x00"),
        ("\u{1b}[31mred\u{7f}", "\\x1b[31mred\\x7f"),
        ("\u{9b}31m", "\\x9b31m"),
        ("one\u{2028}two\u{2029}\u{85}", "one\\u2028two\\u2029\\x85"),
        ("\u{202e}txt.exe\u{2066}\u{200f}", "\\u202etxt.exe\\u2066\\u200f"),
        ("a\u{200b}b\u{feff}c\u{ad}d\u{a0}", "a\\u200bb\\ufeffc\\xadd\\xa0"),
        ("\u{e0041}\u{e000}\u{ffff}", "\\U000e0041\\ue000\\uffff"),
        ("\u{3164}\u{115f}\u{fe0f}\u{034f}", "\\u3164\\u115f\\ufe0f\\u034f"),
        ("C:\\new \\x1b", "C:\\new \\x1b"),
    ])
    func `a text becomes one line without anything that acts or hides`(text: String, line: String) {
        #expect(PrintableText.line(text) == line)
        #expect(PrintableText.line(PrintableText.line(text)) == line)
    }

    @Test func `lone surrogates and stray bytes are shown`() {
        #expect(ByteString(bytes: [0x61, 0xED, 0xA0, 0x80, 0xFF, 0xC3]).description == "a\\ud800\\udcff\\udcc3")
        #expect(ByteString(bytes: [0xF4, 0x90, 0x80, 0x80]).description == "\\udcf4\\udc90\\udc80\\udc80")
    }

    @Test func `a long text is cut at a whole character or escape`() {
        for (text, line) in [
            ("12345678", "12345678"), ("123456789", "1234567…"), ("ééééééééé", "ééééééé…"), ("123456\n", "123456\\n"),
            ("1234567\n", "1234567…"), ("12345\u{1b}9", "12345…"), ("1234\u{1b}", "1234\\x1b"),
            ("\u{1b}\u{1b}\u{1b}", "\\x1b…"),
            ("🚀🚀🚀🚀🚀🚀🚀🚀", "🚀🚀🚀🚀🚀🚀🚀🚀"), ("🚀🚀🚀🚀🚀🚀🚀🚀🚀", "🚀🚀🚀🚀🚀🚀🚀…"),
        ] {
            #expect(PrintableText.line(text, maximumCharacters: 8) == line)
            #expect(PrintableText.line(line, maximumCharacters: 8) == line)
        }
        #expect(PrintableText.line(String(repeating: "x", count: 1_000_000)).unicodeScalars.count == 128)
        #expect(ByteString(String(repeating: "\u{301}", count: 100_000)).description.unicodeScalars.count == 128)
    }

    @Test func `every scalar of the blocks with invisible ones comes out printable`() {
        for value in [UInt32(0)..<0x3200, 0xD700..<0x1_0000, 0xE_0000..<0xE_0200].joined() {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let line = PrintableText.line(String(scalar))
            let isSafe = line.unicodeScalars.allSatisfy {
                PrintableText.isPrintable($0.value) && !$0.properties.isDefaultIgnorableCodePoint
            }
            #expect(isSafe && !line.isEmpty, "U+\(String(value, radix: 16))")
        }
    }
}
