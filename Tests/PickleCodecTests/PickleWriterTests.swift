import Bytes
import Testing

@testable import PickleCodec

@Suite struct PickleWriterTests {
    @Test(arguments: 0...5) func `plain data written call by call is read back`(version: Int) throws {
        let json = try Self.json(Self.message(version: version))
        #expect(
            json == #"{"method":"emit","data":[[0,255,256,-1,65536,1099511627776,-9223372036854775808,1.5,true,null],"#
                + #"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},"z\u00e9\n\\\ud83d\ude00",{}]}"#)
    }

    private static func message(version: Int) -> [UInt8] {
        var writer = PickleWriter(version: version)
        writer.beginDict()
        writer.append("method")
        writer.append("emit")
        writer.append("data")
        writer.beginTuple()
        writer.beginList()
        for number in [0, 255, 256, -1, 65536, 1 << 40, .min] as [Int64] { writer.append(number) }
        writer.append(1.5)
        writer.append(true)
        writer.appendNone()
        writer.endList()
        appendBytes([0xff, 0x00], to: &writer)
        appendBytes([], to: &writer)
        writer.appendText(ByteString("z\u{e9}\n\\\u{1f600}"))
        writer.beginDict()
        writer.endDict()
        writer.endTuple()
        writer.endDict()
        writer.finish()
        return writer.copyBytes()
    }

    @Test(arguments: [0, 2, 4]) func `long containers are written in batches`(version: Int) throws {
        let json = try Self.json(Self.numbers(version: version))
        #expect(json == "[" + (0..<2500).map(String.init).joined(separator: ",") + "]")
    }

    private static func numbers(version: Int) -> [UInt8] {
        var writer = PickleWriter(version: version)
        writer.beginList()
        for number in 0..<2500 { writer.append(Int64(number)) }
        writer.endList()
        writer.finish()
        return writer.copyBytes()
    }

    private static func appendBytes(_ bytes: [UInt8], to writer: inout PickleWriter) {
        bytes.withUnsafeBytes { writer.appendBytes($0) }
    }

    static func json(_ pickle: [UInt8]) throws -> String {
        try pickle.withUnsafeBytes { try json(of: $0) }
    }

    private static func json(of bytes: UnsafeRawBufferPointer) throws -> String {
        var document = PickleDocument()
        try document.parse(bytes)
        var writer = JSONWriter()
        var attachments: [PickleDocument.Node] = []
        try document.writeJSON(document.root, to: &writer, attachments: &attachments)
        return String(decoding: writer.copyBytes(), as: UTF8.self)
    }
}
