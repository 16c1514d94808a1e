import Testing

@testable import SocketIOProtocol

@Suite struct Base64Tests {
    private static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        bytes.withUnsafeBytes { Base64.encode($0) { text.append($0) } }
        return String(decoding: text, as: UTF8.self)
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func `the vectors of RFC 4648 hold both ways`(plain: String, encoded: String) {
        #expect(Self.encode(Array(plain.utf8)) == encoded)
        #expect(Base64.decode(Array(encoded.utf8)[...]) == Array(plain.utf8))
    }

    @Test func `every length and byte comes back`() {
        var generator = SystemRandomNumberGenerator()
        for length in 0...260 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(Base64.decode(Array(Self.encode(bytes).utf8)[...]) == bytes)
        }
        #expect(Base64.decode(Array(Self.encode(Array(0...255)).utf8)[...]) == Array(0...255))
    }

    @Test(arguments: ["Zg", "Zm8", "Zm9vYg", "Zg="])
    func `padding may be missing`(text: String) {
        #expect(Base64.decode(Array(text.utf8)[...]) != nil)
    }

    @Test(arguments: ["A", "AAAAA", "=", "====", "A===", "Zg===", "Z g=", "Zm9v\n", "Zm-_", "Zm9v!", "=Zg="])
    func `what is not base64 is refused`(text: String) {
        #expect(Base64.decode(Array(text.utf8)[...]) == nil)
    }
}
