import Bytes
import JSONCodec
import Testing

@testable import Bridge

@Suite struct JSONPointerTests {
    private static func value(_ pointer: String, _ json: String) throws -> String? {
        let pointer = try #require(JSONPointer(pointer))
        var document = JSONDocument()
        return try Array(json.utf8).withUnsafeBytes { bytes in
            try document.parse(bytes)
            return pointer.value(in: document, at: document.root).map {
                String(decoding: document.source(of: $0), as: UTF8.self)
            }
        }
    }

    private static func text(_ pointer: String, _ json: String) throws -> ByteString? {
        let pointer = try #require(JSONPointer(pointer))
        var document = JSONDocument()
        return try Array(json.utf8).withUnsafeBytes { bytes in
            try document.parse(bytes)
            return pointer.text(in: document, at: document.root)
        }
    }

    /// The document of RFC 6901, section 5.
    private static let example =
        #"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#

    @Test(arguments: [
        ("", example), ("/foo", #"["bar","baz"]"#), ("/foo/0", #""bar""#), ("/", "0"), ("/a~1b", "1"), ("/c%d", "2"),
        ("/e^f", "3"), ("/g|h", "4"), (#"/i\j"#, "5"), (#"/k"l"#, "6"), ("/ ", "7"), ("/m~0n", "8"),
    ])
    func `the examples of the RFC`(pointer: String, value: String) throws {
        #expect(try Self.value(pointer, Self.example) == value)
    }

    @Test(arguments: [
        ("/nothing", example), ("/foo/2", example), ("/foo/-", example), ("/foo/00", example), ("/foo/01", example),
        ("/foo/1e0", example), ("/foo/99999999999999999999", example), ("/foo/", example), ("/foo/0/0", example),
        ("/a", "[]"), ("/0", "{}"), ("/a", "1"), ("/a", "null"), ("/a/b", #"{"a":"b"}"#),
    ])
    func `a place that isn't there has no value`(pointer: String, json: String) throws {
        #expect(try Self.value(pointer, json) == nil)
    }

    @Test(arguments: ["a", "a/b", "/~", "/~2", "/a~", "#/a", " /a"])
    func `other texts are no pointers`(text: String) { #expect(JSONPointer(text) == nil) }

    @Test(arguments: [
        ("/~01", #"{"~1":1}"#, "1"), ("/sku", #"{"sku":1,"sku":2}"#, "2"), ("/ä/日", #"{"ä":{"日":1}}"#, "1"),
        ("/k", "{\"\\u006b\":3}", "3"), ("/1/a", #"[0,{"a":4}]"#, "4"), ("/10", "[0,1,2,3,4,5,6,7,8,9,10]", "10"),
    ])
    func `escapes are resolved once, and the last of equal keys wins`(pointer: String, json: String, value: String)
        throws
    {
        #expect(try Self.value(pointer, json) == value)
    }

    @Test(
        arguments: [
            (#""A\u0031""#, "A1"), ("17", "17"), ("-0", "-0"), (#""""#, ""), ("1.5", nil), ("true", nil), ("null", nil),
            ("[]", nil), ("{}", nil), ("123456789012345678901", "123456789012345678901"),
        ] as [(String, ByteString?)])
    func `a key is a text or a whole number`(value: String, key: ByteString?) throws {
        #expect(try Self.text("/sku", #"{"sku":\#(value)}"#) == key)
    }
}
