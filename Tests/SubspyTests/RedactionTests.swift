import Bytes
import PubSubMessages
import Testing

@testable import subspy

@Suite struct RedactionTests {
    private func shown(_ payload: String, hiding keys: [String], key: StaticString? = nil) throws -> (
        python: String, json: String
    ) {
        var renderer = MessageRenderer(
            MessageReader(), redaction: Redaction(try keys.map { try Redaction.Key(argument: $0) }))
        return Array(payload.utf8).withUnsafeBytes { bytes in
            _ = renderer.reader.inspect(bytes)
            if let key { renderer.render(key) } else { renderer.render(bytes) }
            let python = renderer.withBytes { String(decoding: $0, as: UTF8.self) }
            var json = JSONWriter()
            renderer.appendJSON(key, to: &json)
            return (python, json.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
        }
    }

    @Test func `keys are names, globs or regular expressions`() throws {
        let payload = #"{"password":1,"token":2,"spoken":3,"a[b]":4,"ab":5,"x":["password","token"]}"#
        let (python, json) = try shown(payload, hiding: ["pass*", "/^to.en$/", "a[b]"])
        #expect(
            python
                == "{'password': '***', 'token': '***', 'spoken': 3, 'a[b]': '***', 'ab': '***', 'x': ['password', 'token']}"
        )
        #expect(
            json == #"{"password":"***","token":"***","spoken":3,"a[b]":"***","ab":"***","x":["password","token"]}"#)
    }

    @Test(arguments: [
        // {'k': {'password': 'hunter2'}}, then an OrderedDict as Python 2 pickles it.
        "(dS'k'\n(dS'password'\nS'hunter2'\nss.",
        "ccollections\nOrderedDict\n((lp4\n(lp5\nS'password'\np6\naS'hunter2'\np7\naatRp8\n.",
        "cos\nsystem\n(dS'password'\nS'hunter2'\nstR.", #"{"a":[{"password":{"b":"hunter2"}}]}"#, "\u{80}hunter2",
    ])
    func `values are hidden at any depth, in objects and in bytes that can't be decoded`(payload: String) throws {
        let (python, json) = try shown(payload, hiding: ["password"])
        #expect(!python.contains("hunter2"))
        #expect(!json.contains("hunter2"))
        #expect(python.contains("***"))
    }

    @Test func `an attachment is hidden with its placeholder, and no other`() throws {
        let payload = """
            {"method":"emit","binary":true,"data":[[{"password":{"_placeholder":true,"num":1},\
            "b":{"_placeholder":true,"num":0}}],"QQ==","aHVudGVyMg=="]}
            """
        #expect(
            try shown(payload, hiding: ["password"], key: "data").json
                == #"[[{"password":"***","b":{"_placeholder":true,"num":0}}],"QQ==","***"]"#)
    }

    @Test func `a part of the message is hidden as a whole`() throws {
        let (python, json) = try shown(#"{"room":"r","data":1}"#, hiding: ["data"], key: "data")
        #expect(python == "'***'")
        #expect(json == #""***""#)
    }
}
