import Bytes
import Testing

@Suite struct WTF8Tests {
    @Test(
        arguments: [
            ([], true), ([0x41], true), ([0xC3, 0xA9], true), ([0xF0, 0x9F, 0x98, 0x80], true), ([0x80], false),
            ([0xC3], false), ([0xC0, 0x80], false), ([0xED, 0xA0, 0x80], false), ([0xF4, 0x90, 0x80, 0x80], false),
            ([0xF8, 0x88, 0x80, 0x80, 0x80], false), ([0xFF], false),
        ] as [([UInt8], Bool)])
    func `UTF-8 is judged as RFC 3629 defines it`(bytes: [UInt8], isValid: Bool) {
        #expect(bytes.withUnsafeBytes { WTF8.isValid($0, surrogates: false) } == isValid)
    }

    @Test func `every text of four bytes with a lead byte is judged as the standard library does`() {
        let later: [UInt8] = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xED, 0xFF]
        for lead in UInt8(0xC0)...0xF8 {
            for second in later {
                for (third, fourth) in zip(later + later, later + later.reversed()) {
                    // Eight more bytes, so that whole words are read.
                    let bytes = [lead, second, third, fourth] + Array("ü plain".utf8)
                    let isValid = String(validating: bytes, as: UTF8.self) != nil
                    #expect(bytes.withUnsafeBytes { WTF8.isValid($0, surrogates: false) } == isValid)
                }
            }
        }
    }

    @Test func `surrogates are valid where they are allowed`() {
        for bytes: [UInt8] in [[0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80]] {
            #expect(bytes.withUnsafeBytes { WTF8.isValid($0) })
            #expect(bytes.withUnsafeBytes { !WTF8.isValid($0, surrogates: false) })
        }
    }

    @Test(arguments: [0x41, 0xE9, 0x7FF, 0x800, 0xD800, 0xDFFF, 0xFFFF, 0x1_0000, 0x10_FFFF] as [UInt32])
    func `a code point comes back`(scalar: UInt32) {
        var writer = JSONWriter()
        writer.append(codePoint: scalar)
        writer.withUnsafeBytes { bytes in
            #expect(WTF8.decode(bytes, at: 0) == (scalar, bytes.count))
        }
    }
}
