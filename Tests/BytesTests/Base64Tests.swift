import Bytes
import Testing

@Suite struct Base64Tests {
    private static func encode(_ bytes: [UInt8]) -> String {
        bytes.withUnsafeBytes { Base64.withEncoded($0) { String(decoding: $0, as: UTF8.self) } }
    }

    private static func decode(_ text: some StringProtocol, _ rules: Base64.Rules = .unpadded) -> [UInt8]? {
        Base64.decode(Array(text.utf8).span, rules)
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func `the vectors of RFC 4648 hold both ways`(plain: String, encoded: String) {
        #expect(Self.encode(Array(plain.utf8)) == encoded)
        for rules in [Base64.Rules.strict, .python, .unpadded] {
            #expect(Self.decode(encoded, rules) == Array(plain.utf8))
        }
    }

    @Test func `every length and byte comes back`() {
        var generator = SystemRandomNumberGenerator()
        for length in 0...260 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(Self.decode(Self.encode(bytes)) == bytes)
            #expect(Self.decode(Self.encode(bytes), .strict) == bytes)
        }
        #expect(Self.decode(Self.encode(Array(0...255))) == Array(0...255))
    }

    @Test(arguments: ["Zg", "Zm8", "Zm9vYg", "Zg="])
    func `padding may be missing where the rules say so`(text: String) {
        #expect(Self.decode(text) != nil)
        #expect(Self.decode(text, .python) == nil)
        #expect(Self.decode(text, .strict) == nil)
    }

    @Test(arguments: ["A", "AAAAA", "A===", "Zm9v\nA", "Zm9v\u{E9}", "Z\u{E9}g=", "Zg==\u{E9}"])
    func `bytes that no rules allow are refused`(text: String) {
        for rules in [Base64.Rules.strict, .python, .unpadded] { #expect(Self.decode(text, rules) == nil) }
    }

    @Test(arguments: ["Zm9v\n", "Zm9vZg=", "Zg===", "====", "Z===", "Zg==Zm9v", "Zm 9v", "Zm-9"])
    func `strict reading wants whole groups and nothing else`(text: String) {
        #expect(Self.decode(text, .strict) == nil)
    }

    /// As `binascii.a2b_base64` does.
    @Test(
        arguments: [
            ("Zm9v\n", "foo"), ("Zm9v\r\nYmFy\r\n", "foobar"), (" Zm 9v\tYg == ", "foob"), ("Zm9vYg=\n=\n", "foob"),
            ("Zm-9_v!", "foo"), ("Zg==Zm9v", "f"), ("Zg===", "f"), ("=Zg=", "f"), ("=", ""), ("====", ""),
            ("Z=m9v", "foo"), ("\n", ""),
        ])
    func `bytes outside the alphabet are passed over`(text: String, plain: String) {
        #expect(Self.decode(text).map { String(decoding: $0, as: UTF8.self) } == plain)
    }

    @Test func `lines of 76 digits are read, as Java and Android write them`() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        let text = Self.encode(bytes)
        for end in ["\n", "\r\n"] {
            let lines = stride(from: 0, to: text.count, by: 76).map { text.dropFirst($0).prefix(76) + end }.joined()
            #expect(Self.decode(lines) == bytes)
        }
    }
}
