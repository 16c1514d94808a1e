import JSONCodec
import PickleCodec
import Testing

@testable import PubSubMessages

/// Hand-made senders' known mistakes: what was clearly meant is done, and said.
@Suite struct ComplaintTests {
    let decoder = PubSubMessageDecoder(hostID: "own")

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

    @Test func `a message as python-socketio writes it is not complained about`() throws {
        _ = try emit(message())
        #expect(decoder.complaints.isEmpty)
        _ = try emit(message(("skip_sid", #""s""#), ("binary", "false")))
        #expect(decoder.complaints.isEmpty)
        _ = try emit(message(("skip_sid", #"["s"]"#)))
        #expect(decoder.complaints.isEmpty)
    }

    @Test(
        arguments: [
            ("", "/", .namespaceMissing), ("null", "/", .namespaceMissing), (#""""#, "/", .namespaceMissing),
            (#""chat""#, "/chat", .namespaceWithoutSlash),
        ] as [(String, ByteString, Complaint)])
    func `a namespace that is missing or lacks its slash is filled in`(
        namespace: String, expected: ByteString, complaint: Complaint
    ) throws {
        #expect(try emit(message(("namespace", namespace))).namespace == expected)
        #expect(decoder.complaints.all == [complaint])
        // The next message is judged by itself.
        #expect(try emit(message()).namespace == "/")
        #expect(decoder.complaints.isEmpty)
    }

    @Test(arguments: ["5", "true", #"["/"]"#, #"{"a": 1}"#])
    func `a namespace that is no text reaches nobody`(namespace: String) throws {
        guard case .ignored(.noNamespace) = try decoder.decode(text: message(("namespace", namespace))) else {
            Issue.record("not ignored")
            return
        }
    }

    @Test(
        arguments: [
            ("[]", [], .skipSIDEmpty), ("true", [], .skipSIDNotText), ("5", [], .skipSIDNotText),
            (#"{"a": 1}"#, [], .skipSIDNotText), (#"["s", 5]"#, ["s"], .skipSIDNotText),
        ] as [(String, [ByteString], Complaint)])
    func `who is skipped is read as far as it says`(skip: String, expected: [ByteString], complaint: Complaint) throws {
        #expect(try emit(message(("skip_sid", skip))).skip == expected)
        #expect(decoder.complaints.all == [complaint])
    }

    @Test func `a tuple of sids is a list of them`() throws {
        let value: PickleValue = [
            "method": "emit", "event": "x", "data": 1, "namespace": "/", "room": .null,
            "skip_sid": .tuple(["a", "b"]), "callback": .null, "host_id": "h",
        ]
        guard case .emit(let emit) = try decoder.decode(bytes: try value.encoded()) else {
            Issue.record("no emit")
            return
        }
        #expect(emit.skip == ["a", "b"] && decoder.complaints.all == [.skipSIDTuple])
    }

    @Test func `without a method an event with data is an emit`() throws {
        _ = try emit(message(("method", "")))
        #expect(decoder.complaints.all == [.methodMissing])
        #expect(try decoder.event(text: message(("method", ""))) == #"["x",{"v":1}]"#)
        for key in ["event", "data"] {
            guard case .ignored(.noMethod) = try decoder.decode(text: message(("method", ""), (key, ""))) else {
                Issue.record("not ignored without \(key)")
                continue
            }
        }
        // Our own messages stay our own.
        guard case .ignored(.ownMessage) = try decoder.decode(text: message(("method", ""), ("host_id", #""own""#)))
        else {
            Issue.record("own message handled")
            return
        }
    }

    @Test func `data that should hold attachments and doesn't is taken as it is`() throws {
        #expect(try decoder.event(text: message(("binary", "true"), ("data", #""text""#))) == #"["x","text"]"#)
        #expect(decoder.complaints.all == [.binaryWithoutList])
    }

    @Test func `other encodings than UTF-8 are read`() throws {
        let text = message(("data", #""é""#))
        #expect(try decoder.event([0xEF, 0xBB, 0xBF] + Array(text.utf8)) == ##"["x","\u00e9"]"##)
        #expect(decoder.complaints.all == [.byteOrderMark])
        let units = Array(text.utf16)
        let little: [UInt8] = units.flatMap { unit -> [UInt8] in [UInt8(unit & 0xFF), UInt8(unit >> 8)] }
        let big: [UInt8] = units.flatMap { unit -> [UInt8] in [UInt8(unit >> 8), UInt8(unit & 0xFF)] }
        for bytes in [little, [0xFE, 0xFF] + big] {
            #expect(try decoder.event(bytes) == ##"["x","\u00e9"]"##)
            #expect(decoder.complaints.all == [.notUTF8])
        }
    }

    @Test func `each complaint says what to publish instead`() {
        for complaint in Complaint.allCases {
            #expect(complaint.advice.contains("publish") || complaint == .skipSIDTuple)
        }
    }
}
