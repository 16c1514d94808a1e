import Bytes
import JSONCodec
import Testing

@testable import PubSubMessages

/// The one pass over a body of `POST /emit`, against its full parse.
@Suite(.bothWays) struct OwnEmitTests {
    private static let hostID: ByteString = "0123456789abcdef0123456789abcdef"

    private static func short(_ body: [UInt8], from host: ByteString = hostID) -> OwnEmit? {
        body.withUnsafeBytes { OwnEmit(body: $0, hostID: host) { $0.elementsEqual("123".utf8) } }
    }

    /// What the keys of a body mean by the full parse; nil where it can't be parsed.
    private static func full(_ body: [UInt8], from host: ByteString = hostID) -> [UInt8]? {
        body.withUnsafeBytes { bytes in
            var document = JSONDocument()
            guard (try? document.parse(bytes)) != nil, document.kind(of: document.root) == .object,
                document.value(forKey: "secret", in: document.root).flatMap({ document.byteString($0) }) == "123"
            else { return nil }
            let keys: [StaticString] = ["room", "to"]
            let room = keys.compactMap { document.value(forKey: $0, in: document.root) }.last
            return PubSubMessageEncoder.emit(
                document, room: room.flatMap { document.isTruthy($0) ? $0 : nil }, hostID: host)
        }
    }

    private static func decoded(_ emit: OwnEmit) throws -> (message: String, event: EventBody, decoder: String) {
        let decoder = makeDecoder(hostID: hostID)
        return try decoder.decoding(emit) { message in
            let event = try decoder.encodeEvent()
            return ("\(message)", event, "\(String(describing: decoder.senderHostID)) \(decoder.mistakes)")
        }
    }

    private static let plain = [
        #"{"secret":"123","event":"update","room":"r","data":{"n":1},"namespace":null}"#,
        #"{"event": "update", "room": "r", "data": {"d": "x", "e": [1, 2.5, true]}, "namespace": "/a", "secret": "123"}"#,
        #"{"secret":"123","event":"e"}"#, #"{"secret":"123","event":"","data":null,"room":null} "#,
        #"{"secret":"123","event":"e","data":"text","room":"","namespace":""}"#,
        #"{"secret":"123","event":"e","data":5}"#,
        #"{"secret":"123","event":"e","data":1.5,"report":false}"#, #"{"secret":"123","event":"e","data":{}}"#,
        #"{"secret":"123","event":"e","data":true,"to":"r"}"#, #"{"to":null,"secret":"123","event":"e"}"#,
        "{\"secret\":\"123\",\n\t\"event\":\"e\",\r\n\"data\":{\"a\":\"\\u00e9\\n\"}}",
    ]

    private static let other = [
        #" {"secret":"123","event":"e"}"#, #"{"secret":"123","event":"e","data":-1}"#,
        #"{"secret":"124","event":"e"}"#, #"{"event":"e"}"#, #"{"secret":"123"}"#, #"{"secret":"123","event":null}"#,
        #"{"secret":"123","event":5}"#, #"{"secret":"123","event":"é"}"#, #"{"secret":"123","event":"\u0061"}"#,
        #"{"secret":"123","event":"e","data":[1]}"#, #"{"secret":"123","event":"e","data":[]}"#,
        #"{"secret":"123","event":"e","data":"é"}"#, #"{"secret":"123","event":"e","data":1e5}"#,
        #"{"secret":"123","event":"e","data":{"a":1,"a":2}}"#, #"{"secret":"123","event":"e","data":{"a":NaN}}"#,
        #"{"secret":"123","event":"e","data":{"a":tru}}"#, #"{"secret":"123","event":"e","room":5}"#,
        #"{"secret":"123","event":"e","room":false}"#, #"{"secret":"123","event":"e","room":true}"#,
        #"{"secret":"123","event":"e","room":["a","b"]}"#, #"{"secret":"123","event":"e","room":"é"}"#,
        #"{"secret":"123","event":"e","namespace":"a"}"#, #"{"secret":"123","event":"e","namespace":true}"#,
        #"{"secret":"123","event":"e","namespace":{}}"#, #"{"secret":"123","event":"e","event":"f"}"#,
        #"{"secret":"x","secret":"123","event":"e"}"#, #"{"secret":"123","event":"e","data":1,"data":2}"#,
        #"{"secret":"123","event":"e","report":true}"#, #"{"secret":"123","event":"e","x":{"a":}}"#,
        #"{"secret":"123","event":"e","x":5}"#, #"{"secret":"123","event":"e","x":null}"#,
        #"{"secret":"123","event":"e","x":"y"}"#, #"{"secret":"123","event":"e","report":null}"#,
        #"{"secret":"123","event":"e","room":"r","to":"r"}"#, #"{"secret":"123","event":"e","to":5}"#,
        #"{"secret":"123","event":"e","to":["r"]}"#, #"{"secret":"123","event":"e","to":false}"#,
        #"{"secret":"123","event":"e","room":null,"to":null}"#, #"{"secret":"123","event":"e","Room":"r"}"#,
        #"{"secret":"123","event":"e"}x"#, #"["secret"]"#, "", "{",
        #"{"secret":"123","\u0065vent":"e"}"#, "\u{FEFF}" + #"{"secret":"123","event":"e"}"#,
    ]

    @Test(arguments: plain)
    func `a simple body is read in one pass, and means what the full parse makes of it`(body: String) throws {
        let bytes = Array(body.utf8)
        let emit = try #require(Self.short(bytes))
        #expect(emit.payload == Self.full(bytes))
        #expect(try Self.decoded(emit) == Self.decoded(OwnEmit(payload: emit.payload)))
    }

    @Test(arguments: other)
    func `a body that is not simple is left to the full parse`(body: String) {
        #expect(Self.short(Array(body.utf8)) == nil)
    }

    @Test func `no damaged body is read otherwise than by the full parse`() throws {
        var random = SplitMix(state: 3)
        let alphabet = Array("{}[]\",:\\ \t\nenutrulfs0123-.+é\u{0}\u{7F}\u{1F}/".utf8)
        var read = 0
        for round in 0..<60_000 {
            var bytes = Array((round % 2 == 0 ? Self.plain : Self.other).randomElement(using: &random)?.utf8 ?? "".utf8)
            for _ in 0...random.next() % 3 where !bytes.isEmpty {
                let place = Int(random.next() % UInt64(bytes.count))
                let byte = alphabet[Int(random.next() % UInt64(alphabet.count))]
                switch random.next() % 4 {
                case 0: bytes[place] = byte
                case 1: bytes.insert(byte, at: place)
                case 2: bytes.remove(at: place)
                default: bytes.insert(contentsOf: bytes[place...].prefix(Int(random.next() % 24)), at: place)
                }
            }
            guard let emit = Self.short(bytes) else { continue }
            read += 1
            let text = String(decoding: bytes, as: UTF8.self).debugDescription
            #expect(emit.payload == Self.full(bytes), "\(text)")
            #expect(try Self.decoded(emit) == Self.decoded(OwnEmit(payload: emit.payload)), "\(text)")
        }
        #expect(read > 500)
    }

    @Test func `a payload over the limit is refused as any other`() throws {
        let emit = try #require(Self.short(Array(Self.plain[0].utf8)))
        var limits = PubSubMessageLimits()
        limits.maximumPayloadBytes = emit.payload.count - 1
        let decoder = makeDecoder(hostID: Self.hostID, limits: limits)
        #expect(throws: PubSubMessageError.self) { try decoder.decoding(emit) { _ in } }
    }

    @Test(arguments: [hostID, HostID.random()])
    func `a sender's form is learnt from simple emits as from others`(host: ByteString) throws {
        func events(_ emits: [OwnEmit]) throws -> [EventBody] {
            let decoder = makeDecoder(hostID: host)
            return try emits.map { emit in try decoder.decoding(emit) { _ in try decoder.encodeEvent() } }
        }
        let simple = try #require(Self.short(Array(Self.plain[0].utf8), from: host))
        let body = Array(#"{"secret":"123","event":"e","data":[1,2]}"#.utf8)
        let list = OwnEmit(payload: try #require(Self.full(body, from: host)))
        #expect(try events([list, simple, list]) == events([list, OwnEmit(payload: simple.payload), list]))
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
