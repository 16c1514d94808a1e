import Bytes
import Testing

/// The output of `body` as text.
func written(_ body: (inout JSONWriter) -> Void) -> String {
    var writer = JSONWriter(capacity: 1)
    body(&writer)
    return String(decoding: writer.copyBytes(), as: UTF8.self)
}

@Suite struct JSONWriterTests {
    @Test(arguments: [
        ("", #""""#), ("plain text, 12345678", #""plain text, 12345678""#),
        ("\"\\\n\r\t\u{8}\u{c}/", ##""\"\\\n\r\t\b\f/""##), ("\u{0}\u{1f}\u{7f}", ##""\u0000\u001f\u007f""##),
        ("é😀", ##""\u00e9\ud83d\ude00""##), ("1234567é", ##""1234567\u00e9""##),
        ("12345678\"12345678", ##""12345678\"12345678""##),
        ("~~~~~~~~~~~~~~~~ \u{FFFF}", ##""~~~~~~~~~~~~~~~~ \uffff""##),
    ])
    func `text is escaped as json.dumps does`(text: String, expected: String) {
        #expect(written { writer in Array(text.utf8).withUnsafeBytes { writer.appendString(wtf8: $0) } } == expected)
    }

    @Test(
        arguments: [
            ([0xED, 0xA0, 0x80], ##""\ud800""##), ([0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80], ##""\ud83d\ude00""##),
            ([0xFF, 0x41], ##""\ufffdA""##), ([0xC0, 0x80], ##""\ufffd\ufffd""##),
            ([0xE2, 0x82], ##""\ufffd\ufffd""##),
            ([0xF4, 0x90, 0x80, 0x80], ##""\ufffd\ufffd\ufffd\ufffd""##),
        ] as [([UInt8], String)])
    func `lone surrogates stay and bytes that are no text are replaced`(bytes: [UInt8], expected: String) {
        #expect(written { writer in bytes.withUnsafeBytes { writer.appendString(wtf8: $0) } } == expected)
    }

    @Test func `every byte at every place of a word is judged alike`() {
        for byte in UInt8(0)..<0x80 {
            let alone = written { writer in [byte].withUnsafeBytes { writer.appendString(wtf8: $0) } }
            for place in 0..<9 {
                var text = [UInt8](repeating: 0x61, count: 17)
                text[place] = byte
                let result = written { writer in text.withUnsafeBytes { writer.appendString(wtf8: $0) } }
                let expected = "\"" + String(repeating: "a", count: place) + alone.dropFirst().dropLast()
                #expect(result == expected + String(repeating: "a", count: 16 - place) + "\"")
            }
        }
    }

    @Test(arguments: [0, 1, 9, 10, 99, 100, 12_345, Int64.max, Int64.min, -1, -10, 1_000_000_000_000_000_000])
    func `integers are written in decimal`(value: Int64) {
        #expect(written { $0.appendInteger(value) } == "\(value)")
    }

    @Test func `the largest unsigned integers are written`() {
        for value in [UInt64.max, 10_000_000_000_000_000_000, 9_999_999_999_999_999_999] {
            #expect(written { $0.appendInteger(value) } == "\(value)")
        }
    }

    @Test(
        arguments: [
            ([], "0"), ([0], "0"), ([0xFF], "-1"), ([0x80], "-128"), ([0x7F], "127"), ([0xFF, 0x00], "255"),
            ([0, 0, 0, 0, 0, 0, 0, 0x80], "-9223372036854775808"),
            ([0, 0, 0, 0, 0, 0, 0, 0x80, 0], "9223372036854775808"),
            ([0, 0, 0, 0, 0, 0, 0, 0, 1], "18446744073709551616"),
            ([0, 0, 0, 0, 0, 0, 0, 0, 0xFF], "-18446744073709551616"),
            ([0, 0, 0xE8, 0x89, 0x04, 0x23, 0xC7, 0x8A, 0x00], "10000000000000000000"),
            ([1, 0, 0xE8, 0x89, 0x04, 0x23, 0xC7, 0x8A, 0xFF], "-8446744073709551615"),
        ] as [([UInt8], String)])
    func `two's complement of any size is written in decimal`(bytes: [UInt8], expected: String) {
        #expect(written { writer in bytes.withUnsafeBytes { writer.appendDecimal(twosComplement: $0) } } == expected)
    }

    @Test(
        arguments: [
            (0.0, "0.0"), (-0.0, "-0.0"), (1, "1.0"), (1.1, "1.1"), (1e5, "100000.0"), (1e15, "1000000000000000.0"),
            (9_999_999_999_999_998, "9999999999999998.0"), (1e16, "1e+16"), (-1e16, "-1e+16"), (1.2e16, "1.2e+16"),
            (10_000_000_000_000_002, "1.0000000000000002e+16"), (0x1p54, "1.8014398509481984e+16"), (1e17, "1e+17"),
            (1e-4, "0.0001"), (1e-5, "1e-05"), (1.5e-7, "1.5e-07"), (Double.leastNonzeroMagnitude, "5e-324"),
            (1e100, "1e+100"),
            (Double.greatestFiniteMagnitude, "1.7976931348623157e+308"), (1_637_000_000.123456, "1637000000.123456"),
            (.nan, "null"), (.infinity, "null"), (-.infinity, "null"),
        ] as [(Double, String)])
    func `floats are written as repr does`(value: Double, expected: String) {
        #expect(written { $0.appendFloat(value) } == expected)
    }

    @Test func `random floats are written as Python writes them`() throws {
        var generator = SystemRandomNumberGenerator()
        var bits: [UInt64] = (0..<5_000).map { _ in generator.next() }
        bits += (0..<5_000).map { _ in
            // Magnitudes around 1e-5 and 1e16, where the spelling changes, and ordinary measurements.
            let range = [1e-6...1e-3, 1e14...1e18, 0...1e6, 1.6e9...1.8e9].randomElement() ?? 0...1
            return Double.random(in: range).bitPattern
        }
        bits += (0..<1_000).map { _ in (Double.random(in: 0...1000) * 100).rounded().bitPattern }
            .map { (Double(bitPattern: $0) / 100).bitPattern }
        let values = bits.map(Double.init(bitPattern:)).filter(\.isFinite)
        let input = values.map { String($0.bitPattern) }.joined(separator: " ")
        let script =
            "import struct,sys\nfor b in sys.stdin.read().split(): "
            + "print(repr(struct.unpack('<d', struct.pack('<Q', int(b)))[0]))"
        guard let output = try python(script, input: input) else { return }
        let expected = output.split(separator: "\n")
        try #require(expected.count == values.count)
        for (value, line) in zip(values, expected) {
            #expect(written { $0.appendFloat(value) } == line)
        }
    }

    @Test func `a writer can be emptied, cut and reused`() {
        var writer = JSONWriter(capacity: 1)
        for _ in 0..<1000 { writer.append("0123456789") }
        #expect(writer.count == 10_000)
        writer.truncate(to: 3)
        #expect(writer.copyBytes() == Array("012".utf8))
        writer.removeAll()
        writer.append(0x41)
        #expect(writer.withUnsafeBytes { $0.count } == 1)
    }
}

@Suite struct ByteStringTests {
    @Test func `texts that look alike but differ in bytes are different`() {
        #expect(ByteString("caf\u{e9}") != ByteString("cafe\u{301}"))
        #expect(Set([ByteString("caf\u{e9}"), ByteString("cafe\u{301}"), "a", ByteString(bytes: [0x61])]).count == 3)
    }

    @Test func `a lone surrogate is kept, and repaired for programs`() {
        let text = ByteString(bytes: [0x61, 0xED, 0xA0, 0x80])
        #expect(text.count == 4)
        #expect(text.text.hasPrefix("a\u{FFFD}"))
    }
}
