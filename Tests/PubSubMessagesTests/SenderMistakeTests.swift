import Bytes
import PickleCodec
import Testing

@testable import PubSubMessages

/// Known mistakes of hand-made senders, whose clear intention is carried out and noted.
@Suite(.bothWays) struct SenderMistakeTests {
    let decoder = makeDecoder(hostID: "own")

    private func message(_ fields: (String, String)...) -> String {
        var all = [
            ("method", #""emit""#), ("event", #""x""#), ("data", #"{"v":1}"#), ("namespace", #""/""#), ("room", "null"),
            ("skip_sid", "null"), ("callback", "null"), ("host_id", #""h""#),
        ]
        for (key, value) in fields {
            all.removeAll { $0.0 == key }
            if !value.isEmpty { all.append((key, value)) }
        }
        return "{" + all.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}"
    }

    private func emit(_ text: String) throws -> PubSubMessage.Emit {
        guard case .emit(let emit) = try decoder.decode(text: text) else {
            Issue.record("no emit: \(text)")
            throw PubSubMessageError.notAnEmit
        }
        return emit
    }

    @Test func `a message of python-socketio has no mistakes`() throws {
        _ = try emit(message())
        #expect(decoder.mistakes.isEmpty)
        _ = try emit(message(("skip_sid", #""s""#), ("binary", "false")))
        #expect(decoder.mistakes.isEmpty)
        _ = try emit(message(("skip_sid", #"["s"]"#)))
        #expect(decoder.mistakes.isEmpty)
    }

    @Test(
        arguments: [
            ("", "/", .namespaceMissing), ("null", "/", .namespaceMissing), (#""""#, "/", .namespaceMissing),
            (#""chat""#, "/chat", .namespaceWithoutSlash),
        ] as [(String, ByteString, SenderMistake)])
    func `a namespace that is missing or lacks its slash is filled in`(
        namespace: String, expected: ByteString, mistake: SenderMistake
    ) throws {
        #expect(try emit(message(("namespace", namespace))).namespace == expected)
        #expect(decoder.mistakes.all == [mistake])
        // A mistake isn't carried over to the next message.
        #expect(try emit(message()).namespace == "/")
        #expect(decoder.mistakes.isEmpty)
    }

    @Test(arguments: ["5", "true", #"["/"]"#, #"{"a": 1}"#])
    func `a namespace that isn't text reaches nobody`(namespace: String) throws {
        guard case .ignored(.noNamespace) = try decoder.decode(text: message(("namespace", namespace))) else {
            Issue.record("not ignored")
            return
        }
    }

    @Test(
        arguments: [
            ("[]", [], .skipSIDEmpty), ("true", [], .skipSIDNotText), ("5", [], .skipSIDNotText),
            (#"{"a": 1}"#, [], .skipSIDNotText), (#"["s", 5]"#, ["s"], .skipSIDNotText),
        ] as [(String, [ByteString], SenderMistake)])
    func `the readable sids of skip_sid are skipped`(skip: String, expected: [ByteString], mistake: SenderMistake)
        throws
    {
        #expect(try emit(message(("skip_sid", skip))).skip == expected)
        #expect(decoder.mistakes.all == [mistake])
    }

    @Test func `a tuple of sids is read as a list`() throws {
        let value: PickleValue = [
            "method": "emit", "event": "x", "data": 1, "namespace": "/", "room": .null,
            "skip_sid": .tuple(["a", "b"]), "callback": .null, "host_id": "h",
        ]
        guard case .emit(let emit) = try decoder.decode(bytes: try value.encoded()) else {
            Issue.record("no emit")
            return
        }
        #expect(emit.skip == ["a", "b"] && decoder.mistakes.all == [.skipSIDTuple])
    }

    @Test func `a message with event and data but no method is an emit`() throws {
        _ = try emit(message(("method", "")))
        #expect(decoder.mistakes.all == [.methodMissing])
        #expect(try decoder.event(text: message(("method", ""))) == #"["x",{"v":1}]"#)
        for key in ["event", "data"] {
            guard case .ignored(.noMethod) = try decoder.decode(text: message(("method", ""), (key, ""))) else {
                Issue.record("not ignored without \(key)")
                continue
            }
        }
        // An own message without a method is still an own message.
        guard case .ignored(.ownMessage) = try decoder.decode(text: message(("method", ""), ("host_id", #""own""#)))
        else {
            Issue.record("own message handled")
            return
        }
    }

    @Test func `binary data without a list of attachments is delivered as it is`() throws {
        #expect(try decoder.event(text: message(("binary", "true"), ("data", #""text""#))) == #"["x","text"]"#)
        #expect(decoder.mistakes.all == [.binaryWithoutList])
    }

    @Test func `other encodings than UTF-8 are read`() throws {
        let text = message(("data", #""é""#))
        #expect(try decoder.event([0xEF, 0xBB, 0xBF] + Array(text.utf8)) == ##"["x","\u00e9"]"##)
        #expect(decoder.mistakes.all == [.byteOrderMark])
        let units = Array(text.utf16)
        let little: [UInt8] = units.flatMap { unit -> [UInt8] in [UInt8(unit & 0xFF), UInt8(unit >> 8)] }
        let big: [UInt8] = units.flatMap { unit -> [UInt8] in [UInt8(unit >> 8), UInt8(unit & 0xFF)] }
        for bytes in [little, [0xFE, 0xFF] + big] {
            #expect(try decoder.event(bytes) == ##"["x","\u00e9"]"##)
            #expect(decoder.mistakes.all == [.notUTF8])
        }
    }

    @Test func `the text of each mistake names the right thing to publish`() {
        for mistake in SenderMistake.allCases {
            #expect(mistake.advice.contains("publish") || mistake == .skipSIDTuple)
        }
    }

    @Test(arguments: [
        (#"{"method":"emit","event":"x","message":1,"host_id":"h"}"#, "data", "with message,"),
        (#"{"event":"x","message":{"a":1},"room":"r"}"#, "data", "with message,"),
        (#"{"method":"emit","event":"x","args":[1],"payload":2,"a":3,"b":4}"#, "data", "with args, payload, a,"),
        (#"{"method":"emit","name":"x","data":1}"#, "event", "with name,"),
        (#"{"method":"emit","event":"x","room":null}"#, "data", "the key data"),
    ])
    func `the error for a misspelt key has both names`(text: String, missing: String, other: String) {
        let error = #expect(throws: PubSubMessageError.self) { try decoder.decode(text: text) }
        let sentence = error.map { "\($0)" } ?? ""
        #expect(sentence.contains("without the key \(missing)") && sentence.contains(other), "\(sentence)")
    }

    @Test func `the error for a misspelt key in a pickle has both names`() {
        let payload = "(dVmethod\nVemit\nsVevent\nVx\nsVmessage\nI1\ns."
        let error = #expect(throws: PubSubMessageError.self) { try decoder.decode(text: payload) }
        #expect(error.map { "\($0)" }?.contains("with message,") == true)
    }

    @Test(arguments: ["5", "5.5", "true", #"["a", 5]"#, "[5]"])
    func `a number as room is a mistake`(room: String) throws {
        let rooms = try emit(message(("room", room))).rooms
        #expect(rooms == .these(room.contains("a") ? ["a"] : []))
        #expect(decoder.mistakes.all == [.roomNotText])
        for method in ["enter_room", "leave_room", "close_room"] {
            let text = message(("method", "\"\(method)\""), ("room", room), ("sid", #""s""#))
            guard case .ignored(.noTarget) = try decoder.decode(text: text) else {
                Issue.record("not ignored")
                continue
            }
            #expect(decoder.mistakes.contains(.roomNotText) == !room.hasPrefix("["))
        }
        #expect(try decoder.event(text: message()) == #"["x",{"v":1}]"#)
        #expect(decoder.mistakes.isEmpty)
    }

    @Test func `the key to in place of room is a mistake, and everybody gets the event`() throws {
        #expect(try emit(message(("room", ""), ("to", #""r""#))).rooms == .everyone)
        #expect(decoder.mistakes.all == [.toForRoom])
        #expect(try emit(message(("room", #""r""#), ("to", #""r""#))).rooms == .these(["r"]))
        #expect(decoder.mistakes.isEmpty)
        _ = try emit(message(("room", "")))
        #expect(decoder.mistakes.isEmpty)
    }

    @Test func `more than ten attachments are a mistake, and their number is known`() throws {
        for (count, mistakes) in [(0, []), (1, []), (10, []), (11, [.manyAttachments])] as [(Int, [SenderMistake])] {
            let bytes = String(repeating: "C\u{1}x", count: count)
            let head =
                "\u{3}(dX\u{6}\0\0\0methodX\u{4}\0\0\0emitsX\u{5}\0\0\0eventX\u{1}\0\0\0esX\u{9}\0\0\0namespaceX\u{1}\0\0\0/sX\u{4}\0\0\0data("
            let event = try decoder.event([0x80] + Array((head + bytes + "ls.").utf8))
            #expect(event.split(separator: "|").count == count + 1)
            #expect(decoder.mistakes.all == mistakes)
            let attachments = String(repeating: #","eA==""#, count: count)
            let list = (0..<count).map { #"{"_placeholder":true,"num":\#($0)}"# }.joined(separator: ",")
            _ = try decoder.event(text: message(("data", "[[\(list)]\(attachments)]"), ("binary", "true")))
            #expect(decoder.mistakes.all == mistakes)
            if count > 10 { #expect(decoder.attachmentCount == count) }
        }
    }

    @Test func `a host id beyond 128 bytes counts as none with and without the fast lane`() throws {
        for (count, isKnown) in [(1, true), (128, true), (129, false), (5000, false)] {
            let host = String(repeating: "h", count: count)
            for room in [#""r""#, "null", #"["r"]"#] {
                for _ in 0..<3 {
                    let text = self.message(("host_id", "\"\(host)\""), ("room", room))
                    #expect((try emit(text).hostID != nil) == isKnown && (decoder.senderHostID != nil) == isKnown)
                }
            }
            let message: PickleValue = [
                "method": "emit", "event": "x", "data": 1, "namespace": "/", "room": "r", "host_id": .string(host),
            ]
            let pickle = try message.encoded(protocolVersion: 4)
            for _ in 0..<3 {
                _ = try decoder.decode(bytes: pickle)
                #expect((decoder.senderHostID != nil) == isKnown, "\(count)")
            }
            _ = try emit(self.message())
        }
    }
}
