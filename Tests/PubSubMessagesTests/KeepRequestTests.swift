import Bytes
import PickleCodec
import Testing

@testable import PubSubMessages

@Suite(.bothWays) struct KeepRequestTests {
    let decoder = makeDecoder(hostID: "own")

    private func emit(_ payload: [UInt8]) throws -> PubSubMessage.Emit {
        guard case .emit(let emit) = try decoder.decode(bytes: payload) else { throw PubSubMessageError.notAnEmit }
        return emit
    }

    private func emit(_ fields: String) throws -> PubSubMessage.Emit { try emit(Array(emitText(fields).utf8)) }

    private func pickle(_ fields: [(PickleValue, PickleValue)], version: Int) throws -> [UInt8] {
        let all: [(PickleValue, PickleValue)] =
            [("method", "emit"), ("event", "x"), ("data", 1), ("namespace", "/"), ("room", "r"), ("host_id", "h")]
            + fields
        return try PickleValue.dict(PickleDict(all.map { .init(key: $0.0, value: $0.1) })).encoded(
            protocolVersion: version)
    }

    @Test(
        arguments: [
            ("null", nil), ("true", .yes), ("false", .no), ("300", .forSeconds(300)), ("0.25", .forSeconds(0.25)),
            ("1e3", .forSeconds(1000)), ("31536000", .forSeconds(31_536_000)), ("31536001", .forSeconds(31_536_000)),
            ("9223372036854775807", .forSeconds(31_536_000)), ("1e308", .forSeconds(31_536_000)),
        ] as [(String, KeepRequest?)])
    func `keep is a bool or a number of seconds, at most a year`(json: String, expected: KeepRequest?) throws {
        #expect(try emit(#""room": "r", "keep": \#(json)"#).keep == expected)
        #expect(decoder.mistakes.isEmpty)
        #expect(try emit(#""room": "r""#).keep == nil)
    }

    @Test(arguments: [
        "0", "-1", "0.0", "-0.5", "1e999", "NaN", "Infinity", "-Infinity", "9223372036854775808", #""true""#, #""300""#,
        "[]", "{}",
    ])
    func `a keep that is no time is a mistake, and the message isn't kept`(json: String) throws {
        #expect(try emit(#""room": "r", "keep": \#(json)"#).keep == .no)
        #expect(decoder.mistakes.all == [.keepNotTime])
        #expect(try decoder.event(text: emitText(#""room": "r", "keep": \#(json)"#)) == #"["x",1]"#)
        #expect(try emit(#""room": "r", "keep": true"#).keep == .yes && decoder.mistakes.isEmpty)
    }

    @Test func `a key is a text of at most 1024 bytes, and an empty one is none`() throws {
        let longest = String(repeating: "ü", count: 512)
        #expect(try emit(#""room": "r", "key": "\#(longest)""#).key == ByteString(longest))
        #expect(try emit(#""room": "r", "key": """#).key == nil)
        #expect(try emit(#""room": "r", "key": null"#).key == nil)
        #expect(try emit(#""room": "r", "k\u0065y": "a\u0062""#).key == "ab")
        #expect(try emit(#""room": "r", "key": "a", "key": "b""#).key == "b")
        #expect(decoder.mistakes.isEmpty)
        for json in ["\"\(longest)x\"", "5", "true", #"["a"]"#] {
            let emit = try emit(#""room": "r", "keep": true, "key": \#(json)"#)
            #expect(emit.key == nil && emit.keep == .no && decoder.mistakes.all == [.keyNotText])
        }
    }

    @Test(arguments: ["", #""room": null, "#, #""room": ["a", null], "#])
    func `a message for everybody can't be kept`(room: String) throws {
        for keep in ["true", "300"] {
            #expect(try emit(#"\#(room)"keep": \#(keep)"#).keep == .no)
            #expect(decoder.mistakes.all == [.keepForEverybody])
        }
        for keep in ["false", "null"] {
            _ = try emit(#"\#(room)"keep": \#(keep)"#)
            #expect(decoder.mistakes.isEmpty)
        }
    }

    @Test(arguments: 0...5) func `a pickle has the same keys at each protocol`(version: Int) throws {
        let rows: [(PickleValue, KeepRequest?, [SenderMistake])] = [
            (.null, nil, []), (true, .yes, []), (false, .no, []), (300, .forSeconds(300), []),
            (0.25, .forSeconds(0.25), []),
            (0, .no, [.keepNotTime]), (-1, .no, [.keepNotTime]), (.float(.nan), .no, [.keepNotTime]),
            (.float(.infinity), .no, [.keepNotTime]), ("300", .no, [.keepNotTime]), (.bytes([1]), .no, [.keepNotTime]),
        ]
        for (value, keep, mistakes) in rows {
            // The second message finds the template of the one without the keys, if there is one.
            _ = try emit(try pickle([], version: version))
            let emit = try emit(try pickle([("keep", value), ("key", "sku")], version: version))
            #expect(emit.keep == keep && emit.key == (mistakes.isEmpty ? "sku" : nil), "\(value)")
            #expect(decoder.mistakes.all == mistakes)
        }
    }

    @Test func `messages about kept values are read by their sender too`() throws {
        for host in ["own", "other"] as [ByteString] {
            guard
                case .keptRequest(host, .max) = try decoder.decode(
                    bytes: PubSubMessageEncoder.keptRequest(host: host, id: .max)),
                case .keptStored(host, "asker", 7) = try decoder.decode(
                    bytes: PubSubMessageEncoder.keptStored(host: host, for: "asker", id: 7))
            else {
                Issue.record("not read from \(host)")
                return
            }
        }
        #expect(decoder.mistakes.isEmpty)
    }

    @Test(arguments: [
        #"{"method":"ws-emit-kept-request","id":1}"#, #"{"method":"ws-emit-kept-request","host_id":"h","id":"1"}"#,
        #"{"method":"ws-emit-kept-stored","host_id":"h","id":1}"#,
        #"{"method":"ws-emit-kept-stored","host_id":"h","for":5,"id":1}"#,
    ])
    func `an incomplete message about kept values is ignored`(text: String) throws {
        guard case .ignored(.unknownMethod) = try decoder.decode(text: text) else {
            Issue.record("it counts")
            return
        }
    }

    @Test func `messages about kept values have python-socketio's order of keys`() {
        #expect(
            String(decoding: PubSubMessageEncoder.keptRequest(host: "h", id: 1), as: UTF8.self)
                == #"{"method":"ws-emit-kept-request","host_id":"h","id":1}"#)
        #expect(
            String(decoding: PubSubMessageEncoder.keptStored(host: "w", for: "h", id: 1), as: UTF8.self)
                == #"{"method":"ws-emit-kept-stored","host_id":"w","for":"h","id":1}"#)
    }
}
