import Bytes
import Testing

@testable import Bridge

@Suite struct RecoveryOffsetTests {
    private static func text(_ offset: RecoveryOffset) -> ByteString {
        var bytes = [UInt8](repeating: 0, count: RecoveryOffset.length)
        bytes.withUnsafeMutableBytes { offset.write(to: $0) }
        return ByteString(bytes: bytes)
    }

    @Test(arguments: [0, 1, 63, 64, 4096, 123_456_789_012, (1 << 60) - 1] as [Int64])
    func `the text of a position always has 10 characters and is read as that position`(value: Int64) {
        let text = Self.text(RecoveryOffset(value: value))
        #expect(text.count == 10 && RecoveryOffset(text)?.value == value)
    }

    @Test(arguments: ["", "AAAAAAAAA", "AAAAAAAAAAA", "AAAA AAAAA", "AAAAAAAA\u{e4}", "AAAAAAAAA\""])
    func `another text is no position`(text: String) {
        #expect(RecoveryOffset(ByteString(text)) == nil)
    }
}
