import Bytes
import Foundation
import Testing

@testable import PubSubMessages

@Suite(.bothWays) struct PubSubMessageDecoderTests {
    let decoder = makeDecoder(hostID: "own")

    private func emit(_ fields: String) throws -> PubSubMessage.Emit? {
        guard case .emit(let emit) = try decoder.decode(text: emitText(fields)) else { return nil }
        return emit
    }

    private func ignoreReason(_ text: String) throws -> PubSubMessage.IgnoreReason? {
        guard case .ignored(let reason) = try decoder.decode(text: text) else { return nil }
        return reason
    }

    @Test(
        arguments: [
            (#""room": null"#, .everyone), ("", .everyone), (#""room": "a""#, .these(["a"])),
            (#""room": """#, .these([""])),
            (#""room": ["a", "b"]"#, .these(["a", "b"])), (#""room": ["a", null]"#, .everyone),
            (#""room": 5"#, .these([])),
            (#""room": ["a", 5]"#, .these(["a"])), (#""room": false"#, .these([])),
            (#""room": "\u0061""#, .these(["a"])),
        ] as [(String, PubSubMessage.Rooms)])
    func `a room is None, a text or a list`(fields: String, rooms: PubSubMessage.Rooms) throws {
        #expect(try emit(fields)?.rooms == rooms)
    }

    @Test(arguments: [
        (#""room": []"#, "empty room list"), (#""room": {"a": 1}"#, "bad room"), (#""room": [["a"]]"#, "bad room"),
        (#""callback": 5"#, "bad callback"),
    ])
    func `a message that makes python-socketio raise is refused with the sender's host id`(
        fields: String, cause: String
    ) {
        let error = #expect(throws: PubSubMessageError.self) { try emit(fields) }
        #expect(error?.causeName == cause)
        #expect(error?.hostID == "h")
    }

    @Test(
        arguments: [
            (#""skip_sid": null"#, []), (#""skip_sid": "s""#, ["s"]), (#""skip_sid": ["s", "t"]"#, ["s", "t"]),
            (#""skip_sid": []"#, []),
            (#""skip_sid": true"#, []), (#""skip_sid": 5"#, []),
        ] as [(String, [ByteString])])
    func `skip_sid is a sid or a list of them`(fields: String, sids: [ByteString]) throws {
        #expect(try emit(fields)?.skip == sids)
    }

    @Test func `the memory for a large message is freed, and messages are read as before`() throws {
        let large = emitText(data: "[" + Array(repeating: #""ü""#, count: 300_000).joined(separator: ",") + "]")
        let small = emitText(#""room": "a""#, data: #"{"a":[1,2.5,"x"]}"#)
        let event = try decoder.event(text: small)
        for _ in 0..<2 {
            #expect(try decoder.event(text: large).utf8.count > 2_000_000)
            #expect(decoder.writerBytes > 2_000_000)
            decoder.releaseScratch()
            #expect(decoder.writerBytes <= 4096)
            #expect(throws: PubSubMessageError.self) { try decoder.encodeEvent() }
            for _ in 0..<3 { #expect(try decoder.event(text: small) == event) }
        }
    }

    @Test func `a callback is three values, kept as they are`() throws {
        let address = try #require(try emit(#""callback": ["r", "/", 7]"#)?.callback)
        #expect(address.room == .text("r"))
        #expect(address.namespace == .text("/"))
        #expect(address.id == .integer(7))
        #expect(address.hostID == "h")
        #expect(try emit(#""callback": [["r", null], "/", 7]"#)?.callback?.room == .list([.text("r"), .none]))
        for other in ["[]", "[1,2]", "[1,2,3,4]", "null", "\"\"", "{}"] {
            #expect(try emit("\"callback\": \(other)")?.callback == nil)
        }
    }

    @Test func `other methods name a sid, a room and a namespace`() throws {
        guard
            case .disconnect("s", "/chat") = try decoder.decode(
                text: #"{"method": "disconnect", "sid": "s", "namespace": "/chat"}"#)
        else { return #expect(Bool(false)) }
        guard
            case .enterRoom("s", "r", "/") = try decoder.decode(
                text: #"{"method": "enter_room", "sid": "s", "room": "r", "namespace": "/", "host_id": "h"}"#)
        else { return #expect(Bool(false)) }
        guard
            case .leaveRoom("s", "r", "/") = try decoder.decode(
                text: #"{"method": "leave_room", "sid": "s", "room": "r", "namespace": "/"}"#)
        else { return #expect(Bool(false)) }
        guard
            case .closeRoom("r", "/") = try decoder.decode(
                text: #"{"method": "close_room", "room": "r", "namespace": "/"}"#)
        else { return #expect(Bool(false)) }
        guard
            case .callback(let callback) = try decoder.decode(
                text: #"{"method": "callback", "host_id": "own", "sid": "r", "namespace": "/", "id": 3, "args": [1]}"#)
        else { return #expect(Bool(false)) }
        #expect(callback.id == 3)
    }

    @Test(
        arguments: [
            (#"{"method": "emit", "event": "x", "data": 1, "namespace": "/", "host_id": "own"}"#, .ownMessage),
            (#"{"method": "close_room", "room": "r", "namespace": "/", "host_id": "own"}"#, .ownMessage),
            ("{}", .noMethod), ("null", .notAMessage), ("[]", .notAMessage), ("0", .notAMessage),
            (#"{"method": "canary"}"#, .unknownMethod),
            (#"{"method": 5}"#, .unknownMethod), (#"{"a": 1}"#, .noMethod),
            (#"{"method": "callback", "host_id": "h", "sid": "r", "id": 3, "args": [1]}"#, .callbackOfAnotherHost),
            (#"{"method": "callback", "host_id": "own", "sid": "r", "id": 3}"#, .incompleteCallback),
            (#"{"method": "close_room", "namespace": "/"}"#, .broadcastRoom),
            (#"{"method": "disconnect", "namespace": "/"}"#, .noTarget),
            (#"{"method": "enter_room", "sid": "s", "room": 5, "namespace": "/"}"#, .noTarget),
        ] as [(String, PubSubMessage.IgnoreReason)])
    func `a message that receivers ignore silently is ignored with a reason`(
        text: String, reason: PubSubMessage.IgnoreReason
    ) throws {
        #expect(try ignoreReason(text) == reason)
    }

    @Test func `an own message is decoded on its way out`() throws {
        let bytes = Array(emitText(host: "own").utf8)
        try bytes.withUnsafeBytes { bytes in
            guard case .emit = try decoder.decode(bytes, includingOwn: true) else { return #expect(Bool(false)) }
        }
    }

    @Test(arguments: [
        ("", "empty"), ("5", "not a dict"), ("[\"method\"]", "not a dict"), ("\"method\"", "not a dict"), ("{", "json"),
        (#"{"method": "emit", "data": 1, "namespace": "/"}"#, "event"),
        (#"{"method": "emit", "event": 1, "namespace": "/"}"#, "data"),
    ])
    func `a payload that isn't a message is refused with a cause`(text: String, cause: String) {
        let error = #expect(throws: PubSubMessageError.self) { try decoder.decode(text: text) }
        #expect(error?.causeName == cause)
        #expect(error?.description.contains("\n") == false)
    }

    @Test func `the error for a broken pickle has the offset`() {
        let error = #expect(throws: PubSubMessageError.self) { try decoder.decode(bytes: [0x80, 4, 0x7D]) }
        #expect(error?.description.hasPrefix("pickle: byte 3") == true)
    }

    @Test func `a payload over the limit isn't parsed`() {
        var limits = PubSubMessageLimits()
        limits.maximumPayloadBytes = 100
        let decoder = makeDecoder(hostID: "own", limits: limits)
        let error = #expect(throws: PubSubMessageError.self) {
            try decoder.decode(text: emitText(data: "\"" + String(repeating: "a", count: 100) + "\""))
        }
        #expect(error?.causeName == "too long")
    }

    @Test func `random damage never traps`() throws {
        let texts = [
            Array(
                emitText(
                    #""binary": true, "callback": ["r", "/", 1], "room": ["a"]"#,
                    data: #"[[{"_placeholder": true, "num": 0}], "QQ=="]"#
                ).utf8),
            // emit('x', (b'AB', {'a': [1.5, None, {'b': 'é'}]}), room=['a', 'b'], callback=…) at protocol 4.
            Array(
                try #require(
                    Data(
                        base64Encoded:
                            "gASVngAAAAAAAAB9lCiMBm1ldGhvZJSMBGVtaXSUjAVldmVudJSMAXiUjARkYXRhlEMCQUKUfZSMAWGUXZQoRz/4AAAAAAAATn2UjAFilIwCw6mUc2"
                            + "VzhpSMCW5hbWVzcGFjZZSMAS+UjARyb29tlF2UKGgIaAtljAhza2lwX3NpZJROjAhjYWxsYmFja5SMAXKUaA9LAYeUjAdob3N0X2lklIwBaJR1Lg=="
                    ))),
        ]
        #expect(
            try decoder.event(texts[1])
                == ##"["x",{"_placeholder":true,"num":0},{"a":[1.5,null,{"b":"\u00e9"}]}]|41,42"##)
        var generator = SystemRandomNumberGenerator()
        for text in texts {
            for length in 0..<text.count {
                #expect(throws: PubSubMessageError.self) { try decoder.event(Array(text[..<length])) }
            }
            for _ in 0..<3_000 {
                var bytes = text
                for _ in 0..<Int.random(in: 1...3) where !bytes.isEmpty {
                    bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(
                        in: 0...255, using: &generator)
                }
                _ = try? decoder.event(bytes)
            }
        }
    }
}
