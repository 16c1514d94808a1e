import Bytes
import Testing

@testable import JSONCodec

@Suite struct JSONVerbatimTests {
    /// The copy behind other text; nil when the full parse is asked for.
    private func copied(_ text: String, limits: JSONLimits = JSONLimits()) -> String? {
        var writer = JSONWriter(capacity: 64)
        writer.append("before")
        let bytes = Array(text.utf8)
        guard bytes.withUnsafeBytes({ writer.appendVerbatim($0, limits: limits) }) else {
            #expect(String(decoding: writer.copyBytes(), as: UTF8.self) == "before")
            return nil
        }
        return String(decoding: writer.copyBytes().dropFirst(6), as: UTF8.self)
    }

    /// What the full parse prints; nil when it refuses.
    private func parsed(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBytes { bytes in
            var document = JSONDocument(limits: JSONLimits())
            guard (try? document.parse(bytes)) != nil else { return nil }
            var writer = JSONWriter()
            document.write(document.root, to: &writer)
            return String(decoding: writer.copyBytes(), as: UTF8.self)
        }
    }

    @Test(arguments: [
        "null", "true", "false", "0", "-1", "12345678901234567890", "1.5", "0.25", "\"\"", "\"abc\"",
        "\"a longer text than a word\"",
        #""\u00e9\ud83d\ude00 \" \\ \n""#, "[]", "{}", "[ ]", "{ }", "[1, 2, [3, {}], {\"a\": []}]",
        #"{"a": 1, "b": {"a": 1, "c": [null, true]}, "c": {"a": 2}}"#, " [ 1 ,\t2\n]\r ",
        #"{"key longer than eight" : -0.5}"#,
    ])
    func `what is spelled as Python would is copied without its white space`(text: String) {
        #expect(copied(text) != nil)
        #expect(copied(text) == parsed(text))
    }

    @Test(arguments: [
        "-0", "1.10", "1e5", "1E5", "NaN", "Infinity", "-Infinity", "0.0001", #""\u0041""#, #""\u00E9""#, #""\/""#,
        "\"\u{e9}\"",
        "\"\u{7f}\"", #"{"a":1,"a":2}"#, #"{"a":{},"b":1,"a":2}"#,
        String(repeating: "[", count: 40) + String(repeating: "]", count: 40),
        "[" + (0..<9).map { "{\"a\($0)\":1,\"b\":2}" }.joined(separator: ",") + #",{"b":1,"b":2}]"#,
        "{" + (0..<20).map { "\"k\($0)\":\($0)" }.joined(separator: ",") + "}",
    ])
    func `what is spelled otherwise, or may be, is left to the full parse`(text: String) {
        #expect(copied(text) == nil)
        #expect(parsed(text) != nil)
    }

    @Test(arguments: [
        "", " ", "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1}", "{]", #"{"a"}"#, #"{"a":}"#,
        #"{"a":1,}"#, #"{,"a":1}"#,
        "{1:2}", #"{"a":1 "b":2}"#, "01", "1.", "nul", "nulll", "1 2", "[]]", "\"abc", #""\x""#, #""\u12""#, "\"a\nb\"",
        "[1],", "--1", "tru",
        #"{"a"1}"#, #"{"a":1]"#, #"["a":1]"#,
    ])
    func `what is no JSON is not copied`(text: String) {
        #expect(copied(text) == nil)
        #expect(parsed(text) == nil)
    }

    @Test func `a number ends at what is no digit, wherever that stands among eight`() {
        // The neighbours of the digits, and bytes that differ from them in high bits only.
        let others = Array("/:;?*)%@PFpx".utf8)
        for byte in others + [0x00, 0xB0, 0xB9] {
            for place in 0..<17 {
                var text = Array("[12345678901234567,1]".utf8)
                text[place + 1] = byte
                #expect(copied(String(decoding: text, as: UTF8.self)) == nil)
            }
        }
        for count in 1..<40 {
            let text = String(repeating: "9", count: count)
            #expect(copied(text) == text)
        }
    }

    @Test func `bytes put together at random are copied only if the full parse prints the same`() {
        let pieces = [
            "[", "]", "{", "}", ",", ":", " ", "\"a\"", "\"b\"", "1", "-2.5", "null", "true", "\"\\n\"", "\"", "0", "e",
            "\\",
        ]
        var generator = SplitMix(state: 7)
        var copyCount = 0
        for _ in 0..<200_000 {
            let text = (0..<Int.random(in: 1...9, using: &generator))
                .map { _ in pieces[Int.random(in: 0..<pieces.count, using: &generator)] }.joined()
            if let copy = copied(text) {
                copyCount += 1
                #expect(copy == parsed(text), "\(text)")
            }
        }
        #expect(copyCount > 1000)
    }

    @Test func `values are bounded as in the full parse`() {
        let limits = JSONLimits(maximumDepth: 3, maximumNodes: 20, maximumIntegerDigits: 4)
        #expect(copied("[[1]]", limits: limits) == "[[1]]")
        #expect(copied("[[[1]]]", limits: limits) == nil)
        #expect(copied("[1,2,3,4,5,6,7,8,9,10]", limits: limits) == nil)
        #expect(copied("1234", limits: limits) == "1234")
        #expect(copied("12345", limits: limits) == nil)
    }
}

/// Random numbers that a seed repeats.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
