import Bytes
import Foundation
import Testing

@testable import JSONCodec

/// `text` parsed and printed again.
func reprinted(_ bytes: [UInt8], limits: JSONLimits = .init()) throws(JSONError) -> String {
    var document = JSONDocument(limits: limits)
    var result: Result<String, JSONError> = .success("")
    bytes.withUnsafeBytes { bytes in
        do throws(JSONError) {
            try document.parse(bytes)
            var writer = JSONWriter()
            document.write(document.root, to: &writer)
            result = .success(String(decoding: writer.copyBytes(), as: UTF8.self))
        } catch {
            result = .failure(error)
        }
    }
    return try result.get()
}

func reprinted(_ text: String, limits: JSONLimits = .init()) throws(JSONError) -> String {
    try reprinted(Array(text.utf8), limits: limits)
}

@Suite struct JSONDocumentTests {
    @Test(arguments: [
        ("null", "null"), (" \t\r\ntrue ", "true"), ("false", "false"), ("0", "0"), ("-0", "0"), ("-17", "-17"),
        ("12345678901234567890123", "12345678901234567890123"), ("1.10", "1.1"), ("1E5", "100000.0"), ("-0.0", "-0.0"),
        ("0.00001", "1e-05"), ("0.0001", "0.0001"), ("0.001", "0.001"), ("0.05", "0.05"), ("1e999", "null"),
        ("-1e999", "null"),
        ("NaN", "null"), ("Infinity", "null"), ("-Infinity", "null"), ("1.0", "1.0"), ("1.00", "1.0"), ("0.0", "0.0"),
        ("123456789012345.6", "123456789012345.6"), ("1234567890.12345678", "1234567890.1234567"), ("1e16", "1e+16"),
        ("10000000000000000.0", "1e+16"), ("1e-7", "1e-07"), ("9007199254740993.0", "9007199254740992.0"),
        ("0.1e1", "1.0"), ("100.0", "100.0"), ("5e-324", "5e-324"), ("1e-400", "0.0"), ("-1e-400", "-0.0"),
        (#""""#, #""""#), (#""a\/b""#, #""a/b""#), (#""\u0041\u00E9\u00e9""#, ##""A\u00e9\u00e9""##),
        (#""é😀""#, ##""\u00e9\ud83d\ude00""##), (#""\ud800 \udc00\ud83d""#, ##""\ud800 \udc00\ud83d""##),
        (#""\u000a\u007f\u001F\u0009""#, ##""\n\u007f\u001f\t""##), ("\"\u{7f}\"", ##""\u007f""##),
        (#""\"\\\b\f\n\r\t""#, #""\"\\\b\f\n\r\t""#), ("[]", "[]"), ("{}", "{}"), ("[ ]", "[]"), ("{ }", "{}"),
        ("[1, [2, [], {}], 3]", "[1,[2,[],{}],3]"),
        (#"{"a": {"b": [1, {"c": null}]}, "d": 1}"#, #"{"a":{"b":[1,{"c":null}]},"d":1}"#),
        (#"{"a":1,"b":2,"a":[3]}"#, #"{"a":[3],"b":2}"#), (#"{"a":1,"\u0061":2,"a":3}"#, #"{"a":3}"#),
        (#"[{"x":{"a":1,"a":{"q":[1]}},"y":0},5]"#, #"[{"x":{"a":{"q":[1]}},"y":0},5]"#),
    ])
    func `texts are printed as json.dumps prints what json.loads read`(text: String, expected: String) throws {
        #expect(try reprinted(text) == expected)
    }

    @Test(arguments: [
        ("", 0), (" ", 1), ("nul", 3), ("nulx", 0), ("1 2", 2), ("[1,]", 3), ("[1 2]", 3), ("[", 1), ("]", 0), ("{", 1),
        ("{]", 1),
        (#"{"a"}"#, 4), (#"{"a":}"#, 5), (#"{"a":1,}"#, 7), ("{a:1}", 1), ("{1:1}", 1), (#"{"a" 1}"#, 5), ("01", 1),
        ("-", 1), ("+1", 0),
        ("1.", 2), (".5", 0), ("1e", 2), ("1e+", 3), ("-x", 1), (#"""#, 1), (#""\x""#, 1), (#""\u12G4""#, 1),
        (#""\u12"#, 5),
        ("\"a\nb\"", 2), ("\"\u{0}\"", 1), ("[1}", 2), ("{\"a\":1]", 6), ("nan", 0), ("-Infinit", 8), ("'a'", 0),
        ("[1]]", 3),
        ("\u{FEFF}\u{FEFF}1", 0),
    ])
    func `what json.loads refuses is refused at the right byte`(text: String, offset: Int) {
        let error = #expect(throws: JSONError.self) { try reprinted(text) }
        #expect(error?.byteOffset == offset, "\(error.map(String.init(describing:)) ?? "")")
        #expect(error?.description.contains("\n") == false)
    }

    @Test(
        arguments: [
            [0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xF5, 0x80, 0x80, 0x80, 0x22],
            [0x22, 0x80, 0x22],
            [0x22, 0xE2, 0x82, 0x22], [0x5B, 0xA0, 0x5D],
        ] as [[UInt8]])
    func `bytes that aren't UTF-8 are refused`(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try reprinted(bytes) }
    }

    @Test func `raw surrogates pass and stay apart`() throws {
        let bytes: [UInt8] = [0x22, 0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80, 0x22]
        #expect(try reprinted(bytes) == ##""\ud83d\ude00""##)
        var document = JSONDocument()
        try bytes.withUnsafeBytes { bytes in
            try document.parse(bytes)
            #expect(document.byteString(document.root)?.count == 6)
        }
    }

    @Test func `every encoding that json.loads knows is read`() throws {
        let text = #"{"ключ": "é😀"}"#
        let expected = ##"{"\u043a\u043b\u044e\u0447":"\u00e9\ud83d\ude00"}"##
        let encodings: [(String.Encoding, [UInt8])] = [
            (.utf8, [0xEF, 0xBB, 0xBF]), (.utf16LittleEndian, [0xFF, 0xFE]), (.utf16BigEndian, [0xFE, 0xFF]),
            (.utf32LittleEndian, [0xFF, 0xFE, 0, 0]), (.utf32BigEndian, [0, 0, 0xFE, 0xFF]),
        ]
        for (encoding, mark) in encodings {
            let body = try Array(#require(text.data(using: encoding)))
            #expect(try reprinted(body) == expected)
            #expect(try reprinted(mark + body) == expected)
            if encoding != .utf8 {
                for length in 0..<body.count {
                    #expect(throws: JSONError.self) { try reprinted(Array(body[..<length])) }
                }
            }
        }
        #expect(try reprinted([0x35, 0]) == "5")
        #expect(try reprinted([0, 0x35]) == "5")
        #expect(try reprinted([0xFF, 0xFE, 0x22, 0, 0, 0xD8, 0x22, 0]) == ##""\ud800""##)
        #expect(throws: JSONError(.badUnicode, at: 0)) { try reprinted([0xFF, 0xFE, 0, 0, 0, 0, 0x11, 0]) }
    }

    @Test func `a text cut at any byte is refused`() {
        let text = Array(
            #"{"a": [1, -2.5e+3, "x\u00e9é", {"b": null, "c": [true, false, NaN, -Infinity]}], "d": {}}"#.utf8)
        for length in 0..<text.count {
            #expect(throws: JSONError.self) { try reprinted(Array(text[..<length])) }
        }
    }

    @Test func `random bytes never trap and agree with themselves`() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array(#"{}[]:,"\u0123456789abcdefE+-. ntrlsNaIfiy\#u{7f}é"#.utf8) + [0xED, 0xA0, 0x80, 0xFF, 0]
        let seed = Array(#"{"a": [1, -2.5e+3, "x\u00e9é", {"b": null, "a": [true, NaN]}], "a": {}}"#.utf8)
        for round in 0..<20_000 {
            var bytes = seed
            if round % 2 == 0 {
                bytes = (0..<Int.random(in: 0..<24)).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            } else {
                for _ in 0..<Int.random(in: 1..<4) {
                    bytes[Int.random(in: 0..<bytes.count)] = alphabet.randomElement(using: &generator) ?? 0
                }
            }
            guard let once = try? reprinted(bytes) else { continue }
            #expect((try? reprinted(once)) == once)
        }
    }

    @Test func `random texts are accepted and printed as Python does`() throws {
        var generator = SystemRandomNumberGenerator()
        let pieces = [
            "{", "}", "[", "]", ",", ":", " ", "\"a\"", "\"b\"", "\"\\u0061\"", "1", "-0", "1.50", "1e5", "true",
            "null", "\"\\ud83d\"",
            "\"é\"", "0", "12345678901234567890", "2.5e-7", "\"\\/\"", "\"x\"", "\"y\":1", "{\"k\":", "]", "}", "0.30",
            "123456.789",
        ]
        let texts = (0..<4_000).map { _ in
            (0..<Int.random(in: 1..<9)).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
        }
        let script = """
            import json, sys
            for line in sys.stdin.buffer.read().split(b'\\n'):
                try: print(json.dumps(json.loads(line), separators=(',', ':')).replace('-Infinity', 'null').replace('Infinity', 'null'))
                except ValueError: print('refused')
            """
        guard let output = try python(script, input: texts.joined(separator: "\n")) else { return }
        let expected = output.split(separator: "\n")
        try #require(expected.count == texts.count)
        for (text, line) in zip(texts, expected) {
            let ours = (try? reprinted(text)) ?? "refused"
            #expect(ours == line, "\(text)")
        }
        #expect(expected.filter { $0 != "refused" }.count > 100)
    }

    @Test func `random numbers are printed as Python does`() throws {
        let texts = (0..<5_000).map { _ in
            let whole = "\(Int.random(in: 0...Int.random(in: 0...1_000_000)))"
            let fraction =
                Bool.random()
                ? "." + String((0..<Int.random(in: 1...19)).map { _ in "0123456789".randomElement() ?? "0" }) : ""
            let exponent = Int.random(in: 0..<4) == 0 ? "e\(Int.random(in: -330...310))" : ""
            return (Bool.random() ? "-" : "") + whole + fraction + exponent
        }
        let script = """
            import json, sys
            for line in sys.stdin.read().split(): print(json.dumps(json.loads(line)))
            """
        guard let output = try python(script, input: texts.joined(separator: "\n")) else { return }
        let expected = output.split(separator: "\n").map { $0.hasSuffix("Infinity") ? "null" : String($0) }
        try #require(expected.count == texts.count)
        for (text, line) in zip(texts, expected) { #expect(try reprinted(text) == line, "\(text)") }
    }

    @Test func `limits are met exactly and broken by one`() throws {
        var limits = JSONLimits()
        #expect(try reprinted(String(repeating: "[", count: 1000) + String(repeating: "]", count: 1000)).count == 2000)
        #expect(throws: JSONError(.tooDeep(limit: 1000), at: 1000)) {
            try reprinted(String(repeating: "[", count: 1001) + String(repeating: "]", count: 1001))
        }
        #expect(try reprinted("-" + String(repeating: "1", count: 99)).count == 100)
        #expect(throws: JSONError(.integerTooLong(characters: 101, limit: 100), at: 1)) {
            try reprinted("[" + String(repeating: "1", count: 101))
        }
        limits.maximumNodes = 3
        #expect(try reprinted("[1,2]", limits: limits) == "[1,2]")
        #expect(throws: JSONError(.tooManyNodes(limit: 3), at: 5)) { try reprinted("[1,2,3]", limits: limits) }
        limits.maximumBytes = 5
        #expect(try reprinted("[1,2]", limits: limits) == "[1,2]")
        #expect(throws: JSONError(.tooLong(limit: 5), at: 5)) { try reprinted("[1,2] ", limits: limits) }
    }

    /// Comparing each key with each would take minutes.
    @Test(.timeLimit(.minutes(5))) func `a hundred thousand members take linear time, duplicates or not`() throws {
        for modulus in [1, 7, 1 << 20] {
            let text = "{" + (0..<100_000).map { "\"k\($0 % modulus)\":\($0)" }.joined(separator: ",") + "}"
            let printed = try reprinted(text)
            #expect(printed.split(separator: ",").count == min(modulus, 100_000))
            #expect(printed.contains("\":99999"))
        }
    }
}
