import JSONCodec
import PickleCodec
import Testing

@testable import PubSubMessages

/// Messages that are told by the form of one before, against the same decoder without a form.
@Suite struct RepeatedMessageTests {
    /// What a message is to a decoder that has seen another one before, with its form and without.
    private struct Pair {
        let byForm = PubSubMessageDecoder(hostID: "own")
        let formless = PubSubMessageDecoder(hostID: "own")

        func differ(_ payload: [UInt8]) -> String? {
            formless.scan = PickleScan()
            formless.jsonScan = JSONScan()
            return payload.withUnsafeBytes { payload in
                let (one, other) = (byForm.outcome(payload, isWhole: false), formless.outcome(payload, isWhole: false))
                guard one == other else { return "\(one) instead of \(other)" }
                let (host, expected) = (byForm.senderHostID, formless.senderHostID)
                return host == expected ? nil : "sender \(host as Any) instead of \(expected as Any)"
            }
        }

        var isRepeated: Bool { byForm.scan.isRepeated || byForm.jsonScan.isRepeated }
    }

    @Test func `a captured message with any byte changed says what it says without the message before`() throws {
        var forms = 0
        var repeated = 0
        var calls: Set<String> = []
        for record in try WireFixture.load().records {
            guard let payload = record.payload, let first = payload.first, payload.count < 400,
                calls.insert("\(first) \(record.call)").inserted
            else {
                continue
            }
            let pair = Pair()
            #expect(pair.differ(payload) == nil, "\(record.id)")
            guard pair.byForm.scan.hasKeptForm || pair.byForm.jsonScan.hasKeptForm else { continue }
            forms += 1
            #expect(pair.differ(payload) == nil && pair.isRepeated, "\(record.id)")
            for place in payload.indices {
                for byte in [0x22, 0x5C, 0x28, 0x94, 0x68, 0x8c, 0x4e, 0x75, 0x7d, 0x61, 0x20, 0xff] as [UInt8] {
                    var other = payload
                    other[place] = byte
                    let failure = pair.differ(other)
                    #expect(failure == nil, "\(record.id): byte \(place) is \(byte)")
                    if pair.isRepeated { repeated += 1 }
                }
                let failure = pair.differ(Array(payload[..<place]))
                #expect(failure == nil, "\(record.id): cut at \(place)")
            }
        }
        print("wire.jsonl: \(forms) forms, repeated by \(repeated) messages with a byte changed")
        #expect(!WireFixture.isOurs || forms > 5 && repeated > forms)
    }

    private static let parts = [
        #"{"method": "emit", "event": "#, #", "data": "#, #", "binary": false, "namespace": "/", "room": "#,
        #", "skip_sid": null, "callback": null, "host_id": "#, "}",
    ]

    private static func json(_ values: [String]) -> [UInt8] {
        Array((zip(parts, values).map { $0 + $1 }.joined() + (parts.last ?? "")).utf8)
    }

    @Test(arguments: [
        ("\"other\"", true), ("\"\"", true), ("\"\u{e9}\"", false), (#""\u0041""#, false), ("null", false),
        ("7", false),
        (#""a", "room": "b""#, false), (" \"r\"", false), ("\"r\" ", false),
    ])
    func `JSON repeats a form whose texts are other plain ones`(text: String, isRepeated: Bool) {
        for place in [0, 2, 3] {
            let pair = Pair()
            var values = ["\"x\"", "[1]", "\"r\"", "\"h\""]
            #expect(pair.differ(Self.json(values)) == nil)
            values[place] = text
            #expect(pair.differ(Self.json(values)) == nil)
            #expect(pair.isRepeated == isRepeated)
        }
    }

    @Test(arguments: [
        "[]", "[1, {\"a\": [\"}\"]}]", "{}", "null", "true", "-1.5e3", "12", "\"text\"", "\"\u{e9}\"", "[01]",
        "\"a\", \"b\": \"c\"",
    ])
    func `JSON repeats a form with any data`(data: String) {
        let pair = Pair()
        #expect(pair.differ(Self.json(["\"x\"", "[1]", "\"r\"", "\"h\""])) == nil)
        #expect(pair.differ(Self.json(["\"x\"", data, "\"r\"", "\"h\""])) == nil)
        // A number below zero is left to the full parse, as is a key that wasn't there.
        #expect(pair.isRepeated != (data.contains("\"b\"") || data.hasPrefix("-")))
    }

    @Test func `of a form the own messages are ignored, and the namespace of each is its own`() throws {
        let decoder = PubSubMessageDecoder(hostID: "own")
        for host in ["h", "own", "g", "own"] {
            let payload = Self.json(["\"x\"", "[1]", "\"r\"", "\"\(host)\""])
            if case .ignored(.ownMessage) = try decoder.decode(bytes: payload) {
                #expect(host == "own")
            } else {
                #expect(host != "own")
            }
            #expect(decoder.senderHostID?.text == host)
        }
        // Another message changes what the last namespace is.
        _ = try decoder.decode(text: #"{"method": "close_room", "room": "r", "namespace": "/b", "host_id": "h"}"#)
        guard case .emit(let emit) = try decoder.decode(bytes: Self.json(["\"x\"", "[1]", "\"r\"", "\"h\""])) else {
            return #expect(Bool(false))
        }
        #expect(emit.namespace == "/" && emit.hostID == "h" && decoder.jsonScan.isRepeated)
    }
}
