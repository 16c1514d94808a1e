import Bytes
import Testing

@testable import PubSubMessages

@Suite(.bothWays) struct EventTests {
    let decoder = makeDecoder(hostID: "own")

    @Test(arguments: [
        ("null", #"["x"]"#), ("5", #"["x",5]"#), ("[1, 2]", #"["x",[1,2]]"#), ("[]", #"["x",[]]"#),
        ("[null]", #"["x",[null]]"#),
        (#"{"a": NaN, "b": "é"}"#, ##"["x",{"a":null,"b":"\u00e9"}]"##),
    ])
    func `without the key binary the data is the argument`(data: String, expected: String) throws {
        #expect(try decoder.event(text: emitText(data: data)) == expected)
    }

    @Test(arguments: [
        ("[null]", #"["x"]"#), ("[]", #"["x"]"#), ("[5]", #"["x",5]"#), ("[[1, 2]]", #"["x",[1,2]]"#),
        ("[1, 2]", #"["x",1,2]"#),
        ("[null, null]", #"["x",null,null]"#), ("[[]]", #"["x",[]]"#), (#"[{"a": 1}]"#, #"["x",{"a":1}]"#),
        ("[[null]]", #"["x",[null]]"#),
    ])
    func `a list beside the key binary is the argument list`(data: String, expected: String) throws {
        #expect(try decoder.event(text: emitText(#""binary": false"#, data: data)) == expected)
    }

    @Test func `a sender of bare data is remembered, and other senders are read as before`() throws {
        let list = #""binary": false"#
        #expect(try decoder.event(text: emitText(list, host: "old", data: "[1, 2]")) == #"["x",1,2]"#)
        #expect(try decoder.event(text: emitText(list, host: "old", data: "{}")) == #"["x",{}]"#)
        #expect(try decoder.event(text: emitText(list, host: "old", data: "[1, 2]")) == #"["x",[1,2]]"#)
        #expect(try decoder.event(text: emitText(list, host: "new", data: "[1, 2]")) == #"["x",1,2]"#)
        // A message without the key shows the older dialect too.
        #expect(try decoder.event(text: emitText(host: "5.14.0", data: "1")) == #"["x",1]"#)
        #expect(try decoder.event(text: emitText(list, host: "5.14.0", data: "[1, 2]")) == #"["x",[1,2]]"#)
        // ws-emit itself writes bare data without the key, so that proves nothing.
        #expect(try decoder.event(text: emitText(host: "ws-emit-0", data: "{}")) == #"["x",{}]"#)
        #expect(try decoder.event(text: emitText(list, host: "ws-emit-0", data: "[[1, 2]]")) == #"["x",[1,2]]"#)
    }

    @Test(
        arguments: [
            (.oneArgument, #""binary": false"#, "[1, 2]", #"["x",[1,2]]"#),
            (.oneArgument, "", "[1, 2]", #"["x",[1,2]]"#),
            (.arguments, #""binary": false"#, "[1, 2]", #"["x",1,2]"#), (.arguments, "", "[1, 2]", #"["x",1,2]"#),
            (.arguments, "", "{}", #"["x",{}]"#), (.arguments, #""binary": false"#, "[null]", #"["x"]"#),
        ] as [(PubSubMessageDecoder.ListConvention, String, String, String)])
    func `the setting decides how a list is read, for every sender`(
        reading: PubSubMessageDecoder.ListConvention, fields: String, data: String, expected: String
    ) throws {
        let decoder = makeDecoder(hostID: "own")
        decoder.listConvention = reading
        // The setting overrides the dialect that the sender has shown.
        _ = try decoder.event(text: emitText(#""binary": false"#, data: "{}"))
        #expect(try decoder.event(text: emitText(fields, data: data)) == expected)
    }

    @Test func `the table of senders forgets the oldest`() throws {
        var senders = BareDataSenders(capacity: 2)
        for host in ["a", "b", "a", "c"] as [ByteString] { senders.noteBareData(host) }
        #expect(!senders.writesBareData("a"))
        #expect(senders.writesBareData("b"))
        #expect(senders.writesBareData("c"))
    }

    @Test(arguments: [
        (#"[[{"_placeholder": true, "num": 0}], "QUI="]"#, #"["x",{"_placeholder":true,"num":0}]|41,42"#),
        (#"[{"d": {"_placeholder": true, "num": 0}}, "QUI="]"#, #"["x",{"d":{"_placeholder":true,"num":0}}]|41,42"#),
        (
            #"[[{"_placeholder": 1, "num": 1}, [{"_placeholder": true, "num": 0}]], "QQ==", "Qg=="]"#,
            #"["x",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]|42|41"#
        ),
        (#"[[{"_placeholder": true, "num": -1}], "QQ==", "Qg=="]"#, #"["x",{"_placeholder":true,"num":0}]|42"#),
        (#"[[{"_placeholder": false, "num": 0}], "QQ=="]"#, #"["x",{"_placeholder":false,"num":0}]"#),
        (#"[[1], "QQ=="]"#, #"["x",1]"#), (#"[null, "QQ=="]"#, #"["x"]"#), (#"[[1, 2]]"#, #"["x",1,2]"#),
        (#"[[{"_placeholder": true, "num": 0}], "Q\nU\u0049="]"#, #"["x",{"_placeholder":true,"num":0}]|41,42"#),
    ])
    func `binary data is a structure and its attachments`(data: String, expected: String) throws {
        #expect(
            try makeDecoder(hostID: "own").event(text: emitText(#""binary": true"#, data: data)) == expected)
    }

    @Test(arguments: [
        ("[]", "binary without attachments"),

        (#"[[1], 5]"#, "attachment not text"), (#"[[1], "QQ"]"#, "attachment not base64"),
        (#"[[1], "é"]"#, "attachment not base64"),
        (#"[[{"_placeholder": true, "num": 1}], "QQ=="]"#, "placeholder out of range"),
        (#"[[{"_placeholder": true, "num": -2}], "QQ=="]"#, "placeholder out of range"),
        (#"[[{"_placeholder": true, "num": "0"}], "QQ=="]"#, "placeholder out of range"),
    ])
    func `inconsistent binary data is refused`(data: String, cause: String) {
        let error = #expect(throws: PubSubMessageError.self) {
            try decoder.event(text: emitText(#""binary": true"#, data: data))
        }
        #expect(error?.causeName == cause)
        #expect(error?.hostID == "h")
    }

    @Test(
        arguments: [
            ("", ""), ("QQ==", "A"), ("QUI=", "AB"), ("QUJD", "ABC"), ("QUJDRA==", "ABCD"), ("Q U\nI=", "AB"),
            ("QQ==QQ==", "A"),
            ("Q", nil), ("QQ", nil), ("QQ=", nil), ("=QQ==", "A"), ("Q=Q==", "A"), ("!!!", ""), ("QQé==", nil),
            ("QQ==é", nil), ("-_QQ==", "A"),
        ] as [(String, String?)])
    func `base64 is read as Python reads it`(text: String, expected: String?) {
        let decoded = Base64.decode(Array(text.utf8).span, .python)
        #expect(decoded.map { String(decoding: $0, as: UTF8.self) } == expected)
    }

    @Test func `there is no event without an emit`() throws {
        #expect(throws: PubSubMessageError.self) { try decoder.encodeEvent() }
        _ = try decoder.decode(text: #"{"method": "disconnect", "sid": "s", "namespace": "/"}"#)
        #expect(throws: PubSubMessageError.self) { try decoder.encodeEvent() }
    }

    @Test func `a Python 2 str is UTF-8 or refused`() throws {
        func message(_ data: String) -> [UInt8] {
            Array("(dp0\nS'method'\nS'emit'\nsS'event'\nS'x'\nsS'namespace'\nS'/'\nsS'data'\nS'\(data)'\ns.".utf8)
        }
        #expect(try decoder.event(message(#"h\xc3\xa9"#)) == ##"["x","h\u00e9"]"##)
        let error = #expect(throws: PubSubMessageError.self) { try decoder.event(message(#"h\xe9"#)) }
        #expect(error?.causeName.hasPrefix("unserializable") == true)
    }
}
