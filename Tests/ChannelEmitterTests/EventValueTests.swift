import ChannelEmitter
import OrderedCollections
import Testing

@Suite struct EventValueTests {
    struct Update: Encodable {
        var time: Int
        var name: String?
        var tags: [String] = ["a"]
        var image: [UInt8] = [1, 2]
        var ratio = 0.5
        var extra: EventValue = ["z": 1, "a": .data([3])]
        var byNumber = [7: true]
        var none: String?
    }

    @Test func `an Encodable type is an object with its members in order, bytes kept`() throws {
        #expect(
            try EventValue(encoding: Update(time: 1, name: "é"))
                == [
                    "time": 1, "name": "é", "tags": ["a"], "image": .data([1, 2]), "ratio": 0.5,
                    "extra": ["z": 1, "a": .data([3])], "byNumber": ["7": true],
                ])
        #expect(try EventValue(encoding: [1, 2]) == [1, 2])
        #expect(try EventValue(encoding: "text") == "text")
        #expect(try EventValue(encoding: Int?.none) == .null)
    }

    @Test func `an integer that JavaScript and Python's receivers could not tell is an error`() {
        #expect(throws: EncodingError.self) { try EventValue(encoding: UInt64.max) }
    }

    @Test func `members are read, set and taken away by their key`() {
        var value: EventValue = ["a": 1, "b": [true]]
        value["c"] = "time \(5)"
        value["a"] = nil
        #expect(value == .object(["b": .array([.bool(true)]), "c": .string("time 5")]))
        #expect(value["b"] == [true] && value["a"] == nil && EventValue.int(1)["a"] == nil)
        var text: EventValue = "x"
        text["k"] = .null
        #expect(text == ["k": nil])
    }

    @Test func `of equal keys in a literal the last one counts`() {
        #expect(["a": 1, "a": 2] as EventValue == ["a": 2])
    }

    @Test func `a dictionary becomes an object in alphabetical order`() {
        let dictionary: [String: EventValue] = ["b": 2, "c": 3, "a": 1]
        #expect(EventValue(dictionary) == ["a": 1, "b": 2, "c": 3])
    }

    @Test func `JSON text is read with its keys in order`() throws {
        #expect(
            try EventValue(
                json: #" {"b": [1, -2.5, true, null, "\u00e9\ud83d\ude00"], "a": {}, "b2": 18446744073709551616} "#)
                == ["b": [1, -2.5, true, nil, "é😀"], "a": [:], "b2": .double(18_446_744_073_709_551_616)])
        #expect(try EventValue(json: "1.0") == .double(1))
    }

    @Test(arguments: [
        "", "{", "[1,]", "{} {}", "nul", String(repeating: "[", count: 600) + String(repeating: "]", count: 600),
    ])
    func `what is no JSON is an error that names the byte`(text: String) {
        let error = #expect(throws: EmitterError.self) { try EventValue(json: text) }
        #expect(error?.code == .invalidMessage && error?.description.hasPrefix("JSON: byte ") == true)
    }
}
