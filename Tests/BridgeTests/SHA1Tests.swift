import Testing

@testable import Bridge

@Suite struct SHA1Tests {
    private static func hex(_ text: String) -> String {
        SHA1.digest(of: Array(text.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
        (String(repeating: "a", count: 1_000_000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
    ])
    func `digests are those of FIPS 180's examples`(text: String, digest: String) {
        #expect(Self.hex(text) == digest)
    }

    /// Padding takes one block or two, depending on the length.
    @Test func `every length around a block's has a digest of its own`() {
        let digests = (0...130).map { Self.hex(String(repeating: "x", count: $0)) }
        #expect(Set(digests).count == digests.count)
        #expect(digests[55] == "cef734ba81a024479e09eb5a75b6ddae62e6abf1")
        #expect(digests[56] == "901305367c259952f4e7af8323f480d59f81335b")
        #expect(digests[64] == "bb2fa3ee7afb9f54c6dfb5d021f14b1ffe40c163")
    }
}
