import Bytes
import EmitFastLane
import Foundation
import PickleCodec
import Testing

@testable import PubSubMessages

/// Compares a decoder that uses the fast lane with one that doesn't: the results are the same.
@Suite struct FastLaneTests {
    /// Two decoders that get the same messages.
    private struct Decoders {
        let fast = PubSubMessageDecoder(hostID: "own")
        let whole = PubSubMessageDecoder(hostID: "own", usesFastLane: false)

        /// A difference in a message's route, event, mistakes or error; nil if there is none.
        func difference(_ payload: [UInt8]) -> String? {
            // A sender's dialect is also learnt from a message whose data turns out to be broken.
            whole.senders = fast.senders
            return payload.withUnsafeBytes { payload in
                let (one, other) = (fast.outcome(payload), whole.outcome(payload))
                return one == other ? nil : "\(one) instead of \(other)"
            }
        }

        /// True if the fast lane has routed the last message.
        var isLocated: Bool { if case .located = fast.content { true } else { false } }
    }

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

    @Test func `captured messages are routed and written the same`() throws {
        var located: [Bool: Int] = [:]
        let decoders = Decoders()
        for record in try WireFixture.load().records {
            guard let payload = record.payload else { continue }
            let failure = decoders.difference(payload)
            #expect(failure == nil, "\(record.id)")
            _ = try? decoders.fast.decode(bytes: payload)
            if decoders.isLocated { located[payload.first == UInt8(ascii: "{"), default: 0] += 1 }
        }
        print("wire.jsonl: the fast lane takes \(located[false] ?? 0) pickles and \(located[true] ?? 0) JSON texts")
        #expect(!WireFixture.isOurs || located[false] ?? 0 > 100 && located[true] ?? 0 > 100)
    }

    @Test func `a captured message with any byte changed is routed and written the same`() throws {
        var calls: Set<String> = []
        var located = 0
        for record in try WireFixture.load().records {
            guard let payload = record.payload, let first = payload.first, payload.count < 400,
                calls.insert("\(first) \(record.call)").inserted
            else { continue }
            let decoders = Decoders()
            let failure = decoders.difference(payload)
            #expect(failure == nil, "\(record.id)")
            for place in payload.indices {
                let bytes: [UInt8] = [0x22, 0x5C, 0x28, 0x94, 0x68, 0x8c, 0x4e, 0x75, 0x7d, 0x61, 0x20, 0xff]
                for byte in [bytes[place % 12], bytes[(place * 7 + 1) % 12]] {
                    var other = payload
                    other[place] = byte
                    let failure = decoders.difference(other)
                    #expect(failure == nil, "\(record.id): byte \(place) is \(byte)")
                }
                let failure = decoders.difference(Array(payload[..<place]))
                #expect(failure == nil, "\(record.id): cut at \(place)")
                _ = try? decoders.fast.decode(bytes: payload)
                if decoders.isLocated { located += 1 }
            }
        }
        #expect(!WireFixture.isOurs || located > 500)
    }

    @Test func `captured pickles as data are written the same at each protocol`() throws {
        let decoders = Decoders()
        for record in try Fixtures.records("pickle-valid.jsonl") where record.pickle.count < 5000 {
            guard let value = try? PickleValue(decoding: record.pickle) else { continue }
            for version in 0...5 {
                guard let payload = try? message("r", value, version: version) else { continue }
                let failure = decoders.difference(payload)
                #expect(failure == nil, "\(record.id), protocol \(version)")
            }
        }
        for name in ["pickle-valid.jsonl", "pickle-invalid.jsonl"] {
            for record in try Fixtures.records(name) {
                let failure = decoders.difference(record.pickle)
                #expect(failure == nil, "\(record.id)")
            }
        }
    }

    @Test func `damaged pickles are routed and written the same`() throws {
        let runs = ProcessInfo.processInfo.environment["WS_EMIT_FUZZ_RUNS"].flatMap { Int($0) } ?? 5_000
        let seed = ProcessInfo.processInfo.environment["WS_EMIT_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
        var generator = SplitMix(state: seed)
        let data: [PickleValue] = [
            1, .null, "text", .tuple([1, .tuple(["b", "a"])]), ["a": [1, [2.5, "r"]], "x": ["a": .null]], [.bytes([1])],
        ]
        let messages = try (1...5).flatMap { version in try data.map { try message("r", $0, version: version) } }
        let decoders = Decoders()
        for run in 0..<runs {
            let original = messages[run / 8 % messages.count]
            let payload = run % 8 == 0 ? original : damaged(original, messages[run % messages.count], &generator)
            let failure = decoders.difference(payload)
            #expect(failure == nil, "run \(run) of seed \(seed): \(Data(payload).base64EncodedString())")
        }
    }

    /// A pickle after up to three random changes: bytes, cuts, repeats and joins.
    private func damaged(_ pickle: [UInt8], _ other: [UInt8], _ generator: inout SplitMix) -> [UInt8] {
        var pickle = pickle
        for _ in 0..<Int.random(in: 1...3, using: &generator) where !pickle.isEmpty {
            let place = Int.random(in: 0..<pickle.count, using: &generator)
            let opcode = PickleOpcode.allCases.randomElement(using: &generator)?.rawValue ?? 0
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: pickle[place] = UInt8.random(in: 0...255, using: &generator)
            case 1: pickle[place] = opcode
            case 2: pickle.remove(at: place)
            case 3: pickle.insert(opcode, at: place)
            case 4: pickle.insert(contentsOf: Array(pickle[place...].prefix(12)), at: place)
            default: pickle.replaceSubrange(place..., with: other[min(place, other.count)...])
            }
        }
        return pickle
    }

    @Test(arguments: 0...5) func `messages with keep and key are read by the parser, and those without them as before`(
        version: Int
    ) throws {
        let decoders = Decoders()
        let values: [(keep: PickleValue, key: PickleValue)] = [
            (.null, .null), (true, .null), (.null, .null), (60, "tea"), (.null, "tea"), (false, 5), ("x", .null),
            (0.5, .null),
        ]
        for (index, (keep, key)) in (values + values + values).enumerated() {
            let payload = try pickle(
                [
                    "method": "emit", "event": "x", "data": 1, "namespace": "/", "room": "r", "keep": keep, "key": key,
                    "host_id": "h",
                ], version: version)
            let json = Array(
                emitText("\"room\": \"r\", \"keep\": \(index % 3 == 0 ? "null" : "60"), \"key\": null").utf8)
            for (payload, isLocated) in [
                (payload, version > 0 && keep == .null && key == .null), (json, index % 3 == 0),
                (try message(version: version), version > 0),
            ] {
                let difference = decoders.difference(payload)
                #expect(difference == nil, "\(keep), \(key)")
                _ = try decoders.fast.decode(bytes: payload)
                #expect(decoders.isLocated == isLocated, "\(keep), \(key)")
            }
        }
    }

    @Test(arguments: 0...5) func `an emit to one room is located at every protocol but 0`(version: Int)
        throws
    {
        let decoder = PubSubMessageDecoder(hostID: "own")
        guard case .emit(let emit) = try decoder.decode(bytes: message(version: version)) else {
            return #expect(Bool(false))
        }
        #expect(emit.rooms == .these(["r"]))
        #expect(emit.hostID == "h")
        var isLocated = false
        if case .located = decoder.content { isLocated = true }
        #expect(isLocated == (version > 0))
        #expect(try decoder.event(message(version: version)) == #"["x",1]"#)
    }

    @Test func `an error in the data is found when the event is written`() throws {
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

    @Test func `only emits are located, since other messages take effect at once`() throws {
        // The unknown key holds invalid text, so nothing is closed.
        var payload = try pickle(["method": "close_room", "room": "r", "namespace": "/", "other": "abc"])
        let place = try #require(payload.firstRange(of: Array("abc".utf8)))
        payload[place.lowerBound] = 0xff
        let decoder = PubSubMessageDecoder(hostID: "own")
        #expect(throws: PubSubMessageError.self) { try decoder.decode(bytes: payload) }
    }

    // MARK: Emits for nobody

    @Test
    func `an emit is for nobody exactly if its room, as the parser reads it, is empty`()
        throws
    {
        var forNobody = 0
        for record in try WireFixture.load().records {
            guard let payload = record.payload else { continue }
            let decoder = PubSubMessageDecoder(hostID: "own")
            try payload.withUnsafeBytes { payload in
                let reference = PubSubMessageDecoder(hostID: "own", usesFastLane: false)
                guard case .emit(let emit)? = try? reference.decode(payload) else {
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
                    #expect(decoder.mistakes.isEmpty)
                    #expect(emit.callback == nil)
                    #expect(emit.rooms == .these(asked), "\(record.id)")
                } else {
                    #expect(asked.isEmpty)
                }
                // If somebody is in the room, the result is the same as without the question.
                let third = try decoder.decode(payload, mayReach: { _, _ in true })
                let whole = try reference.decode(payload)
                #expect("\(third)" == "\(whole)")
            }
        }
        print("wire.jsonl: \(forNobody) emits were for nobody")
        #expect(!WireFixture.isOurs || forNobody > 100)
    }

    @Test(arguments: [
        ("/", "/b", "located"), ("emit", "call", "no emit"), ("h", "g", "located"), ("skip_sid", "skip_sad", "located"),
        ("/", "b", "a mistake"),
    ])
    func `an emit with any namespace and sender is located, unless its sender made a mistake`(
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
                    #expect(text == Self.json || why == "located")
                    #expect(decoder.senderHostID == (text.contains(#""g""#) ? "g" : "h"))
                } else {
                    #expect(text != Self.json && why != "located")
                }
            }
        }
    }

    @Test func `an own message is reported as own, not as for nobody`() throws {
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

    @Test func `a JSON emit is located and written as by the parser`() throws {
        let decoder = PubSubMessageDecoder(hostID: "own")
        guard case .emit(let emit) = try decoder.decode(bytes: Array(Self.json.utf8)) else {
            return #expect(Bool(false))
        }
        #expect(emit.rooms == .these(["r"]))
        #expect(emit.dialect == .json5_15_1)
        guard case .located = decoder.content else { return #expect(Bool(false)) }
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
    func `JSON with anything unusual in its route is read as by the parser`(old: String, new: String) throws {
        let payload = Array(Self.json.replacing(old, with: new).utf8)
        let failure = Decoders().difference(payload)
        #expect(failure == nil)
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
    func `data of every kind is written as by the parser`(data: String, binary: String) throws {
        for reading in PubSubMessageDecoder.ListConvention.allCases {
            let text = Self.json.replacing(#"[{"a": [1, "}\"]"]}]"#, with: data)
                .replacing(#""binary": false, "#, with: binary)
            let decoders = Decoders()
            (decoders.fast.listConvention, decoders.whole.listConvention) = (reading, reading)
            let failure = decoders.difference(Array(text.utf8))
            #expect(failure == nil)
        }
    }

    @Test func `an error in the data of JSON is found when the event is written`() throws {
        let payload = Array(Self.json.replacing("[1,", with: "[01,").utf8)
        let decoder = PubSubMessageDecoder(hostID: "own")
        try payload.withUnsafeBytes { bytes in
            guard case .emit = try decoder.decode(bytes) else { return #expect(Bool(false)) }
            let error = #expect(throws: PubSubMessageError.self) { try decoder.encodeEvent() }
            #expect(error?.causeName.hasPrefix("json") == true)
            #expect(error?.hostID == "h")
        }
    }

    @Test func `damaged JSON never traps and gives the same result as the parser`() throws {
        let decoders = Decoders()
        let original = Array(Self.json.utf8)
        for place in original.indices {
            for byte in [0x00, 0x22, 0x5C, 0x7B, 0x7D, 0x5B, 0x5D, 0x2C, 0x80, 0xFF] as [UInt8] {
                var payload = original
                payload[place] = byte
                let failure = decoders.difference(payload)
                #expect(failure == nil, "byte \(place) is \(byte)")
            }
            let failure = decoders.difference(Array(original[..<place]))
            #expect(failure == nil, "cut at \(place)")
        }
    }

    @Test func `emits for everybody, and those that skip one client, are located`() throws {
        for (old, new) in [(#""room": "r""#, #""room": null"#), (#""skip_sid": null"#, #""skip_sid": "a""#)] {
            let decoders = Decoders()
            for host in ["h", "g", "own"] {
                let text = Self.json.replacing(old, with: new).replacing("\"h\"", with: "\"\(host)\"")
                let failure = decoders.difference(Array(text.utf8))
                #expect(failure == nil)
                _ = try? decoders.fast.decode(text: text)
                #expect(decoders.isLocated == (host != "own"))
            }
            let failure = decoders.difference(Array(Self.json.utf8))
            #expect(failure == nil)
        }
        for (room, skip) in [(.null, .null), ("r", "a"), (.null, "b")] as [(PickleValue, PickleValue)] {
            let decoders = Decoders()
            let payload = try pickle([
                "method": "emit", "event": "x", "data": 1, "namespace": "/", "room": room, "skip_sid": skip,
                "callback": .null, "host_id": "h",
            ])
            let failure = decoders.difference(payload)
            #expect(failure == nil)
            _ = try decoders.fast.decode(bytes: payload)
            #expect(decoders.isLocated)
        }
    }

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
            return z ^ z >> 31
        }
    }
}
