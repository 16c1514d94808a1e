import Foundation
import JSONCodec
import PickleCodec
import Testing

@testable import PubSubMessages

/// Emits that are routed by their keys alone.
@Suite struct ScannedMessageTests {
    private func pickle(_ fields: KeyValuePairs<PickleValue, PickleValue>, version: Int = 4) throws -> [UInt8] {
        try PickleValue.dict(PickleDict(fields.map { .init(key: $0.key, value: $0.value) })).encoded(
            protocolVersion: version)
    }

    private func message(_ room: PickleValue = "r", _ data: PickleValue = 1, version: Int = 4) throws -> [UInt8] {
        try pickle(
            [
                "method": "emit", "event": "x", "data": data, "namespace": "/", "room": room, "skip_sid": .null,
                "callback": .null, "host_id": "h",
            ], version: version)
    }

    @Test func `captured messages are routed and written the same by their keys and as a whole`() throws {
        var scanned = 0
        var scannedJSON = 0
        let decoder = PubSubMessageDecoder(hostID: "own")
        for record in try WireFixture.load().records {
            guard let payload = record.payload else { continue }
            payload.withUnsafeBytes { payload in
                #expect(
                    decoder.outcome(payload, isWhole: false) == decoder.outcome(payload, isWhole: true),
                    "\(record.id)")
                guard (try? decoder.decode(payload)) != nil else { return }
                if case .scanned = decoder.content { scanned += 1 }
                if case .scannedJSON = decoder.content { scannedJSON += 1 }
            }
        }
        print("wire.jsonl: \(scanned) pickled emits and \(scannedJSON) in JSON were routed by their keys alone")
        #expect(!WireFixture.isOurs || scanned > 0 && scannedJSON > 0)
    }

    @Test(arguments: 0...5) func `an emit to one room is routed by its keys at every protocol but 0`(version: Int)
        throws
    {
        let decoder = PubSubMessageDecoder(hostID: "own")
        guard case .emit(let emit) = try decoder.decode(bytes: message(version: version)) else {
            return #expect(Bool(false))
        }
        #expect(emit.rooms == .these(["r"]))
        #expect(emit.hostID == "h")
        var isScanned = false
        if case .scanned = decoder.content { isScanned = true }
        #expect(isScanned == (version > 0))
        #expect(try decoder.event(message(version: version)) == #"["x",1]"#)
    }

    @Test func `what is wrong within the data is found when somebody wants it`() throws {
        // The text "abc" of the data becomes invalid UTF-8.
        var payload = try message("r", "abc")
        let place = try #require(payload.firstRange(of: Array("abc".utf8)))
        payload[place.lowerBound] = 0xff
        let decoder = PubSubMessageDecoder(hostID: "own")
        try payload.withUnsafeBytes { bytes in
            guard case .emit = try decoder.decode(bytes) else { return #expect(Bool(false)) }
            let error = #expect(throws: PubSubMessageError.self) { try decoder.encodeEvent() }
            #expect(error?.causeName.hasPrefix("pickle") == true)
            #expect(error?.hostID == "h")
        }
    }

    @Test func `lists of rooms and callbacks are read from the whole pickle`() throws {
        let decoder = PubSubMessageDecoder(hostID: "own")
        guard case .emit(let emit) = try decoder.decode(bytes: message(["a", "b"])) else { return #expect(Bool(false)) }
        #expect(emit.rooms == .these(["a", "b"]))
        let call = try pickle([
            "method": "emit", "event": "x", "data": 1, "namespace": "/", "room": "sid",
            "callback": .tuple(["sid", "/", 7]),
        ])
        guard case .emit(let asked) = try decoder.decode(bytes: call) else { return #expect(Bool(false)) }
        #expect(asked.callback?.id == .integer(7))
    }

    @Test func `only emits are routed by their keys, since other messages act at once`() throws {
        // The unknown key holds invalid text: nothing is closed.
        var payload = try pickle(["method": "close_room", "room": "r", "namespace": "/", "other": "abc"])
        let place = try #require(payload.firstRange(of: Array("abc".utf8)))
        payload[place.lowerBound] = 0xff
        let decoder = PubSubMessageDecoder(hostID: "own")
        #expect(throws: PubSubMessageError.self) { try decoder.decode(bytes: payload) }
    }

    // MARK: Emits for nobody

    @Test
    func `an emit like the one before is for nobody exactly if its room, read whole, is the one that nobody is in`()
        throws
    {
        var forNobody = 0
        for record in try WireFixture.load().records {
            guard let payload = record.payload else { continue }
            let decoder = PubSubMessageDecoder(hostID: "own")
            try payload.withUnsafeBytes { payload in
                guard case .emit(let emit)? = try? decoder.decodeWhole(payload, includingOwn: false) else {
                    if case .emitForNobody? = try? decoder.decode(payload, mayReach: { _, _ in false }) {
                        Issue.record("\(record.id)")
                    }
                    return
                }
                var asked: [ByteString] = []
                let again = try decoder.decode(payload) { room, namespace in
                    asked.append(ByteString(room))
                    #expect(namespace == emit.namespace)
                    return false
                }
                if case .emitForNobody(let dialect) = again {
                    forNobody += 1
                    #expect(dialect == emit.dialect, "\(record.id)")
                    #expect(decoder.senderHostID == emit.hostID)
                    #expect(decoder.complaints.isEmpty)
                    #expect(emit.skip.isEmpty && emit.callback == nil)
                    #expect(emit.rooms == .these(asked), "\(record.id)")
                } else {
                    #expect(asked.isEmpty)
                }
                // Somebody is there: nothing else becomes of it than without the question.
                let third = try decoder.decode(payload, mayReach: { _, _ in true })
                let whole = try decoder.decodeWhole(payload, includingOwn: false)
                #expect("\(third)" == "\(whole)")
            }
        }
        print("wire.jsonl: \(forNobody) emits were told to be for nobody at a glance")
        #expect(!WireFixture.isOurs || forNobody > 100)
    }

    @Test(arguments: [
        ("/", "/b", "another namespace"), ("emit", "call", "no emit"), ("h", "g", "all the same"),
        ("skip_sid", "skip_sad", "all the same"),
    ])
    func `an emit that differs from the one before in more than its room and sender is looked at`(
        old: String, new: String, why: String
    )
        throws
    {
        let decoder = PubSubMessageDecoder(hostID: "own")
        _ = try decoder.decode(bytes: message())
        for text in [Self.json, Self.json.replacing("\"\(old)\"", with: "\"\(new)\"")] {
            try Array(text.utf8).withUnsafeBytes { payload in
                let message = try decoder.decode(payload, mayReach: { _, _ in false })
                if case .emitForNobody = message {
                    #expect(text == Self.json || why == "all the same")
                    #expect(decoder.senderHostID == (text.contains(#""g""#) ? "g" : "h"))
                } else {
                    #expect(text != Self.json && why != "all the same")
                }
            }
        }
    }

    @Test func `what this process has published itself is told to be so, not to be for nobody`() throws {
        let decoder = PubSubMessageDecoder(hostID: "h")
        try message().withUnsafeBytes { payload in
            for _ in 0..<2 {
                guard case .ignored(.ownMessage) = try decoder.decode(payload, mayReach: { _, _ in false }) else {
                    return #expect(Bool(false))
                }
            }
        }
    }

    // MARK: JSON

    private static let json =
        #"{"method": "emit", "event": "x", "data": [{"a": [1, "}\"]"]}], "binary": false, "namespace": "/", "#
        + #""room": "r", "skip_sid": null, "callback": null, "host_id": "h"}"#

    @Test func `a JSON emit is routed by its keys and written as when parsed whole`() throws {
        let decoder = PubSubMessageDecoder(hostID: "own")
        guard case .emit(let emit) = try decoder.decode(bytes: Array(Self.json.utf8)) else {
            return #expect(Bool(false))
        }
        #expect(emit.rooms == .these(["r"]))
        #expect(emit.dialect == .json5_15_1)
        guard case .scannedJSON = decoder.content else { return #expect(Bool(false)) }
        #expect(try decoder.event(Array(Self.json.utf8)) == #"["x",{"a":[1,"}\"]"]}]"#)
    }

    @Test(arguments: [
        (#""room": "r""#, #""room": "\u0072""#), (#""room": "r""#, #""room": ["r", "s"]"#),
        (#""room": "r""#, #""room": 7"#),
        (#""room": "r""#, "\"room\": \"\u{e9}\""), (#""binary": false"#, #""binary": true"#),
        (#""event""#, #""\u0065vent""#), (#""skip_sid": null"#, #""skip_sid": ["a"]"#),
        (#""callback": null"#, #""callback": ["a", "/", 1]"#), (#""host_id": "h""#, #""host_id": NaN"#),
        (#""method": "emit", "#, ""), (#""event": "x", "#, ""), (#""data": "#, #""data": ["#), (#""h"}"#, #""h"},"#),
        (#""h"}"#, #""h""#), (#""h"}"#, #""h\"#), ("{\"method\"", "{\"room\": \"first\", \"method\""),
        (#""room": "r""#, "\"room\": \"a\nb\""), (#""namespace": "/""#, #""namespace": true"#),
    ])
    func `JSON with anything unusual in its route is read as by the full parse`(old: String, new: String) throws {
        let payload = Array(Self.json.replacing(old, with: new).utf8)
        let decoder = PubSubMessageDecoder(hostID: "own")
        payload.withUnsafeBytes { payload in
            #expect(decoder.outcome(payload, isWhole: false) == decoder.outcome(payload, isWhole: true))
        }
    }

    @Test(
        arguments: [
            "null", "[]", "[null]", "[ null ]", "[[1]]", "[1, 2]", "[[], null]", "{}", #"{"a": [1, {"b": null}]}"#,
            #""text""#,
            #""\u00e9""#, "\"\u{e9}\"", #"[{"a\\": "\"\\\"]"}, "\\"]"#, #"["\"]"#, #"["\\\"]"#, #"["\\"]"#, "7", "1.10",
            "-0", "true", #"{"a": 1, "a": 2}"#, "[01]", "[1", "01",
            #"1, "data": 2"#, #"[1], "data": "x""#, #"1, "other": [1]"#, #"1, "other": [01]"#, #"1, "event": "y""#,
            #"1, "event": 5"#,
            #"1, "event": "\u0079""#,
        ], [#""binary": false, "#, ""])
    func `data of every kind is written as by the full parse`(data: String, binary: String) throws {
        for reading in PubSubMessageDecoder.ListReading.allCases {
            let text = Self.json.replacing(#"[{"a": [1, "}\"]"]}]"#, with: data)
                .replacing(#""binary": false, "#, with: binary)
            let (one, other) = (PubSubMessageDecoder(hostID: "own"), PubSubMessageDecoder(hostID: "own"))
            (one.listReading, other.listReading) = (reading, reading)
            Array(text.utf8).withUnsafeBytes { payload in
                #expect(one.outcome(payload, isWhole: false) == other.outcome(payload, isWhole: true))
            }
        }
    }

    @Test func `what is wrong within the data of JSON is found when somebody wants it`() throws {
        let payload = Array(Self.json.replacing("[1,", with: "[01,").utf8)
        let decoder = PubSubMessageDecoder(hostID: "own")
        try payload.withUnsafeBytes { bytes in
            guard case .emit = try decoder.decode(bytes) else { return #expect(Bool(false)) }
            let error = #expect(throws: PubSubMessageError.self) { try decoder.encodeEvent() }
            #expect(error?.causeName.hasPrefix("json") == true)
            #expect(error?.hostID == "h")
        }
    }

    @Test func `damaged JSON never traps and never says anything else than the full parse`() throws {
        let decoder = PubSubMessageDecoder(hostID: "own")
        let original = Array(Self.json.utf8)
        for place in original.indices {
            for byte in [0x00, 0x22, 0x5C, 0x7B, 0x7D, 0x5B, 0x5D, 0x2C, 0x80, 0xFF] as [UInt8] {
                var payload = original
                payload[place] = byte
                payload.withUnsafeBytes { payload in
                    let byKeys = decoder.outcome(payload, isWhole: false)
                    let whole = decoder.outcome(payload, isWhole: true)
                    #expect(byKeys == whole, "byte \(place) is \(byte)")
                }
            }
            original[..<place].withUnsafeBytes { _ = decoder.outcome($0, isWhole: false) }
        }
    }
}

@Suite struct RoomNamesTests {
    @Test func `names are told apart however many there are`() {
        let names = RoomNames()
        for _ in 0..<2 {
            for number in 0..<20_000 {
                let name = Array("room \(number)".utf8)
                #expect(name.withUnsafeBytes { names.rooms(named: $0) } == .these([ByteString(bytes: name)]))
            }
        }
    }

    @Test(arguments: [0, 1, 7, 8, 9, 127, 128, 129, 5_000]) func `a name may have any length`(length: Int) {
        let names = RoomNames()
        for byte in [0x61, 0x62] as [UInt8] {
            let name = [UInt8](repeating: byte, count: length)
            for _ in 0..<2 {
                #expect(name.withUnsafeBytes { names.rooms(named: $0) } == .these([ByteString(bytes: name)]))
            }
        }
    }
}
