import Bytes
import Testing

@testable import JSONCodec

@Suite struct JSONDocumentAccessTests {
    let text = Array(
        #" {"n": null, "t": true, "f": false, "i": -42, "big": 9223372036854775808, "x": 1.5, "e": "\u0061\ud83d\ude00\n", "a": [1, [2, 3], "s"], "k\u0065y": 7, "a": [0, {"q": 1}], "o": {}}"#
            .utf8)

    @Test func `values are found by key and have their kinds`() throws {
        var document = JSONDocument()
        try text.withUnsafeBytes { bytes in
            try document.parse(bytes)
            let root = document.root
            #expect(document.kind(of: root) == .object)
            #expect(document.count(of: root) == 10)
            let kinds: [(StaticString, JSONDocument.Kind)] = [
                ("n", .null), ("t", .bool), ("f", .bool), ("i", .integer), ("big", .integer), ("x", .float),
                ("e", .string),
                ("a", .array), ("key", .integer), ("o", .object),
            ]
            for (key, kind) in kinds {
                #expect(document.value(forKey: key, in: root).map { document.kind(of: $0) } == kind)
            }
            #expect(document.value(forKey: "k\\u0065y", in: root) == nil)
            #expect(document.value(forKey: "missing", in: root) == nil)
        }
    }

    @Test func `scalars have values and refuse other kinds`() throws {
        var document = JSONDocument()
        try text.withUnsafeBytes { bytes in
            try document.parse(bytes)
            func node(_ key: StaticString) throws -> JSONDocument.Node {
                let found = document.value(forKey: key, in: document.root)
                return try #require(found)
            }
            #expect(document.bool(try node("t")) == true)
            #expect(document.bool(try node("f")) == false)
            #expect(document.bool(try node("n")) == nil)
            #expect(document.int64(try node("i")) == -42)
            #expect(document.int64(try node("big")) == nil)
            #expect(document.int64(try node("x")) == nil)
            #expect(document.double(try node("big")) == 9_223_372_036_854_775_808)
            #expect(document.double(try node("x")) == 1.5)
            #expect(document.double(try node("t")) == nil)
            #expect(document.byteString(try node("e")) == ByteString("a😀\n"))
            #expect(document.isString(try node("e"), equalTo: "a😀\n"))
            #expect(!document.isString(try node("e"), equalTo: "a"))
            #expect(document.byteString(try node("i")) == nil)
        }
    }

    @Test(arguments: [
        (#""\"""#, "\""), (#""\\""#, "\\"), (#""\/\/""#, "//"), (#""a\"b\\\"c""#, "a\"b\\\"c"),
        (#""\\n\n\\""#, "\\n\n\\"),
        (#""\u0022\"\ud83d\ude00\\""#, "\"\"😀\\"), (#""{\"k\": \"\\u00e9\"}""#, #"{"k": "\u00e9"}"#),
    ])
    func `the escapes of a string are resolved`(text: String, content: ByteString) throws {
        var document = JSONDocument()
        try Array(text.utf8).withUnsafeBytes { bytes in
            try document.parse(bytes)
            #expect(document.byteString(document.root) == content)
        }
    }

    @Test func `children are walked in order, the last duplicate at the first place`() throws {
        var document = JSONDocument()
        try text.withUnsafeBytes { bytes in
            try document.parse(bytes)
            var names: [String] = []
            for (key, _) in document.members(of: document.root) {
                names.append(document.byteString(key)?.description ?? "")
            }
            #expect(names == ["n", "t", "f", "i", "big", "x", "e", "a", "key", "o"])
            let arrayFound = document.value(forKey: "a", in: document.root)
            let array = try #require(arrayFound)
            let kinds = document.elements(of: array).map { document.kind(of: $0) }
            #expect(kinds == [.integer, .object])
            #expect(String(decoding: document.source(of: array), as: UTF8.self) == #"[0, {"q": 1}]"#)
            let textFound = document.value(forKey: "e", in: document.root)
            let text = try #require(textFound)
            #expect(String(decoding: document.source(of: text), as: UTF8.self) == #""\u0061\ud83d\ude00\n""#)
            #expect(document.members(of: array).map { $0.key }.isEmpty)
        }
    }

    @Test func `a document is reused, also after an error`() throws {
        var document = JSONDocument()
        for text in ["[1,2,3]", "[1,", "{\"a\":\"é\"}", "5"] {
            let bytes = Array(text.utf8)
            try bytes.withUnsafeBytes { bytes in
                if text == "[1," {
                    #expect(throws: JSONError.self) { try document.parse(bytes) }
                } else {
                    try document.parse(bytes)
                    var writer = JSONWriter()
                    document.write(document.root, to: &writer)
                    #expect(writer.count > 0)
                }
            }
        }
    }

    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("9223372036854775807", Int64.max), ("-9223372036854775808", Int64.min),
            ("9223372036854775808", nil), ("-9223372036854775809", nil),
        ] as [(String, Int64?)])
    func `integers are exact up to 64 bits`(text: String, expected: Int64?) throws {
        var document = JSONDocument()
        let bytes = Array(text.utf8)
        try bytes.withUnsafeBytes { bytes in
            try document.parse(bytes)
            #expect(document.int64(document.root) == expected)
        }
    }
}
