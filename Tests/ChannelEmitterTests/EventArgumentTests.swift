import PickleCodec
import PubSubMessages
import Testing

@testable import ChannelEmitter

/// The payloads, against what python-socketio's `PubSubManager.emit` publishes.
@Suite struct EventArgumentTests {
    static let cases: [(arguments: [EventValue], json: String, pickle: PickleValue)] = [
        ([], "null", .null),
        ([["time": 1]], #"{"time":1}"#, ["time": 1]),
        (
            ["комната 😀\n\"\\\u{7F}"], #""\u043a\u043e\u043c\u043d\u0430\u0442\u0430 \ud83d\ude00\n\"\\\u007f""#,
            "комната 😀\n\"\\\u{7F}"
        ),
        ([-1], "-1", -1), ([.int(.max)], "9223372036854775807", .int(.max)),
        ([.int(.min)], "-9223372036854775808", .int(.min)),
        ([1.5], "1.5", 1.5), ([.double(1)], "1.0", 1.0), ([.double(-0.0)], "-0.0", .float(-0.0)),
        ([1e300], "1e+300", 1e300),
        ([.double(.nan)], "null", .null), ([.double(-.infinity)], "null", .null),
        ([true], "true", true), (["z", nil], #"["z",null],"binary":false"#, .tuple(["z", .null])),
        ([[1, [2, nil, []]]], #"[[1,[2,null,[]]]],"binary":false"#, [1, [2, .null, []]]),
        ([[]], #"[[]],"binary":false"#, []),
        ([["b": 1, "a": [:]]], #"{"b":1,"a":{}}"#, ["b": 1, "a": [:]]),
        ([1, [2]], #"[1,[2]],"binary":false"#, .tuple([1, [2]])),
        ([.data([0, 255])], #"[[{"_placeholder":true,"num":0}],"AP8="],"binary":true"#, .bytes([0, 255])),
        (
            ["x", ["a": .data([]), "b": [.data([1])]]],
            #"[["x",{"a":{"_placeholder":true,"num":0},"b":[{"_placeholder":true,"num":1}]}],"","AQ=="],"binary":true"#,
            .tuple(["x", ["a": .bytes([]), "b": [.bytes([1])]]])
        ),
    ]

    @Test(arguments: cases.indices)
    func `arguments are written as JSON that a bare value needs no key for`(index: Int) {
        let (arguments, json, _) = Self.cases[index]
        let message = OutgoingMessage.emit(event: "update", rooms: ["time"], namespace: "/", hostID: "h")
        #expect(
            String(decoding: message.json(arguments), as: UTF8.self)
                == #"{"method":"emit","event":"update","data":\#(json),"namespace":"/","room":"time","skip_sid":null,"#
                + #""callback":null,"host_id":"h"}"#)
    }

    @Test(arguments: cases.indices, 0...5)
    func `arguments are pickled as Python's emit takes them`(index: Int, version: Int) throws {
        let (arguments, _, pickle) = Self.cases[index]
        let message = OutgoingMessage.emit(
            event: "update", rooms: ["a", "b"], namespace: "/chat", skipping: ["s"], hostID: "h")
        #expect(
            try PickleValue(decoding: message.pickle(arguments, version: version)) == [
                "method": "emit", "event": "update", "data": pickle, "namespace": "/chat", "room": ["a", "b"],
                "skip_sid": "s", "callback": .null, "host_id": "h",
            ])
    }
}
