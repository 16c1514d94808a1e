import Bytes
import Testing

@testable import subspy

@Suite struct ValueLayoutTests {
    private func lay(_ text: String, width: Int?) -> String {
        var writer = JSONWriter()
        var text = text
        text.withUTF8 {
            ValueLayout(palette: Palette(.never), width: width).append(UnsafeRawBufferPointer($0), to: &writer)
        }
        return writer.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    @Test func `what fits stays in one line`() {
        #expect(lay("{'a': [1, (2,)], 'b': b'\\''}", width: 40) == "{'a': [1, (2,)], 'b': b'\\''}")
    }

    @Test func `pairs get a line each, numbers fill lines`() {
        #expect(
            lay("{'a': [100, 200, 300, 400], 'b': {}}", width: 18) == """
                {
                  'a': [
                    100, 200, 300,
                    400
                  ],
                  'b': {}
                }
                """)
    }

    @Test func `brackets and commas in texts mean nothing`() {
        #expect(
            lay("['a, [(', \"it's, {\", 'x\\'y, ]']", width: 14) == "[\n  'a, [(',\n  \"it's, {\",\n  'x\\'y, ]'\n]")
    }

    @Test(arguments: 0..<40)
    func `a text cut anywhere loses and gains nothing but space`(length: Int) {
        let text = String("{'a': [1, (2, 'x\\'y')], 'b': {'c': None}}".prefix(length))
        for width in [1, 5, 10, 80] {
            #expect(lay(text, width: width).filter { !$0.isWhitespace } == text.filter { !$0.isWhitespace })
        }
    }
}
