import Bytes
import Foundation
import JSONCodec
import PickleCodec
import Testing

@testable import PubSubMessages

@Suite(.bothWays) struct PubSubMessageEncoderTests {
    private func published(_ body: String) throws -> String {
        var document = JSONDocument()
        return try Array(body.utf8).withUnsafeBytes { bytes in
            try document.parse(bytes)
            let room = document.value(forKey: "room", in: document.root)
            let emit = PubSubMessageEncoder.emit(
                document, room: room, keep: document.value(forKey: "keep", in: document.root),
                key: document.value(forKey: "key", in: document.root), hostID: "ours")
            return String(decoding: emit, as: UTF8.self)
        }
    }

    @Test(arguments: [
        (#"{"event": "x", "data": {"t": 1.0}, "room": "r"}"#, #"["x",{"t":1.0}]"#),
        (#"{"event": "x", "data": [1, 2]}"#, #"["x",[1,2]]"#), (#"{"event": "x", "data": []}"#, #"["x",[]]"#),
        (#"{"event": "x", "data": [null]}"#, #"["x",[null]]"#), (#"{"event": "x"}"#, #"["x"]"#),
        (#"{"event": "x", "data": null}"#, #"["x"]"#),
        (#"{"event": "y", "data": [NaN]}"#, #"["y",[null]]"#),
        (#"{"event": "x", "data": {"_placeholder": true, "num": 0}}"#, #"["x",{"_placeholder":true,"num":0}]"#),
    ])
    func `an HTTP emit is decoded as the event in its body`(body: String, event: String) throws {
        let text = try published(body)
        #expect(try makeDecoder(hostID: "other").event(text: text) == event)
    }

    @Test(
        arguments: [
            (#""keep": true"#, .yes, nil), (#""keep": 0.5, "key": "a""#, .forSeconds(0.5), "a"),
            (#""key": "é""#, nil, "é"),
            (#""keep": false, "key": "a\"""#, .no, "a\""), ("", nil, nil),
        ] as [(String, KeepRequest?, ByteString?)])
    func `keep and key are the same in each format`(keys: String, keep: KeepRequest?, key: ByteString?) throws {
        let payload = Array(
            try published(#"{"event": "x", "data": [1], "room": "r"\#(keys.isEmpty ? "" : ", " + keys)}"#).utf8)
        for format in PubSubMessageEncoder.Format.allCases {
            let bytes = PubSubMessageEncoder.emit(payload, as: format)
            guard case .emit(let emit) = try makeDecoder(hostID: "other").decode(bytes: bytes) else {
                Issue.record("no emit")
                continue
            }
            #expect(emit.keep == keep && emit.key == key, "\(format)")
            #expect(!keys.isEmpty || !String(decoding: bytes, as: UTF8.self).contains("ke"))
        }
    }

    @Test func `an HTTP emit has python-socketio's keys in their order`() throws {
        #expect(
            try published(#"{"secret": "s", "event": "x", "data": [1], "namespace": "/chat", "room": ["a"]}"#)
                == #"{"method":"emit","event":"x","data":[[1]],"binary":false,"namespace":"/chat","room":["a"],"skip_sid":null,"callback":null,"host_id":"ours"}"#
        )
        for absent in ["", ", \"namespace\": null", ", \"namespace\": \"\""] {
            let text = try published("{\"event\": \"x\"\(absent)}")
            #expect(text.contains(#""namespace":"/","room":null"#))
        }
    }

    @Test(arguments: [
        (#"{"event": "x", "data": {"t": 1.0}, "room": "r"}"#, #"["x",{"t":1.0}]"#),
        (#"{"event": "x", "data": [1, "\u00e9"]}"#, ##"["x",[1,"\u00e9"]]"##),
        (#"{"event": "x", "data": []}"#, #"["x",[]]"#),
        (#"{"event": "x", "data": [[null]]}"#, #"["x",[[null]]]"#), (#"{"event": "x"}"#, #"["x"]"#),
        (#"{"event": "x", "data": 123456789012345678901234567890}"#, #"["x",123456789012345678901234567890]"#),
    ])
    func `an HTTP emit gives the same event in each format`(body: String, event: String) throws {
        let payload = Array(try published(body).utf8)
        let bare = PubSubMessageEncoder.emit(payload, as: .bareJSON)
        let old = makeDecoder(hostID: "other")
        old.listConvention = .oneArgument
        #expect(try old.event(bare) == event)
        #expect(!String(decoding: bare, as: UTF8.self).contains("binary"))
        let pickle = PubSubMessageEncoder.emit(payload, as: .pickle)
        #expect(pickle.starts(with: [0x80, 2]))
        #expect(try makeDecoder(hostID: "other").event(pickle) == event)
        #expect(PubSubMessageEncoder.emit(payload, as: .json) == payload)
    }

    private func address(_ dialect: Dialect) -> CallbackAddress {
        CallbackAddress(
            hostID: "h", dialect: dialect, room: .list([.text("r"), .none]), namespace: .text("/"), id: .integer(7))
    }

    @Test func `an ack repeats the address and is JSON`() throws {
        let payload = try PubSubMessageEncoder.callback(
            to: address(.json5_15_1), arguments: Array(#"["ok", 1.50]"#.utf8))
        #expect(
            String(decoding: payload, as: UTF8.self)
                == #"{"method":"callback","host_id":"h","sid":["r",null],"namespace":"/","id":7,"args":["ok",1.5]}"#)
    }

    @Test func `an ack with bytes is sent only to senders of pickles`() throws {
        let arguments = Array(
            #"["b", {"_placeholder": true, "num": 0}, {"k": [1.5, null, true, 12345678901234567890, -5000000000]}, []]"#
                .utf8)
        let payload = try PubSubMessageEncoder.callback(
            to: address(.pickle), arguments: arguments, attachments: [[1, 2, 255]])
        let body = try canonical(payload)
        #expect(
            String(decoding: body.json, as: UTF8.self)
                == #"{"method":"callback","host_id":"h","sid":["r",null],"namespace":"/","id":7,"args":["b",{"_placeholder":true,"num":0},{"k":[1.5,null,true,12345678901234567890,-5000000000]},[]]}"#
        )
        #expect(body.attachments == [[1, 2, 255]])
        let error = #expect(throws: PubSubMessageError.self) {
            try PubSubMessageEncoder.callback(to: address(.json5_15_1), arguments: arguments, attachments: [[1]])
        }
        #expect(error?.causeName == "binary ack")
        #expect(throws: PubSubMessageError.self) {
            try PubSubMessageEncoder.callback(
                to: address(.pickle), arguments: Array(#"[{"_placeholder": true, "num": 1}]"#.utf8), attachments: [[1]])
        }
        for arguments in ["", "{}", "5", "[1"] {
            #expect(throws: PubSubMessageError.self) {
                try PubSubMessageEncoder.callback(to: address(.pickle), arguments: Array(arguments.utf8))
            }
        }
    }

    /// Captures hold the emit (`…/m0`), the raw client's ack, and the callback messages that the server published
    /// (`…/m1` and so on): one for each ack, in the order of the acks.
    @Test func `acks equal the messages that real servers published`() throws {
        let records = try WireFixture.load().records
        let published = Dictionary(grouping: records.filter { !$0.id.hasSuffix("/m0") }) { Self.run($0.id) }
        let decoder = makeDecoder(hostID: "own")
        var checked = 0
        for record in records where record.id.hasSuffix("/m0") {
            let acks = published[Self.run(record.id)]?.compactMap(\.payload) ?? []
            guard let clientAck = record.clientAck, let payload = record.payload, !acks.isEmpty,
                case .emit(let emit) = try decoder.decode(bytes: payload), let address = emit.callback
            else { continue }
            let isBinary = clientAck == "BINARY"
            let ours = try PubSubMessageEncoder.callback(
                to: address, arguments: Array((isBinary ? #"["b",{"_placeholder":true,"num":0}]"# : clientAck).utf8),
                attachments: isBinary ? [Array("ACKBIN".utf8)] : [])
            let ourBody = try canonical(ours)
            #expect(acks.contains { (try? canonical($0)) == ourBody }, "\(record.id)")
            checked += 1
        }
        print("wire.jsonl: \(checked) acks checked")
        #expect(!WireFixture.isOurs || checked > 0)
    }

    /// The part of the id that the messages of one capture share: all but the last.
    private static func run(_ id: String) -> Substring { id[..<(id.lastIndex(of: "/") ?? id.endIndex)] }

    @Test func `Python reads a pickled ack`() throws {
        guard FileManager.default.isExecutableFile(atPath: "/usr/bin/python3") else { return }
        let payload = try PubSubMessageEncoder.callback(
            to: address(.pickle),
            arguments: Array(
                #"[{"_placeholder": true, "num": 0}, "é", {"a": [123456789012345678901, -9223372036854775809, -18446744073709551616]}]"#
                    .utf8),
            attachments: [[0, 255]])
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/python3")
        process.arguments = [
            "-c", "import base64,pickle,sys; print(ascii(pickle.loads(base64.b64decode(sys.argv[1]))))",
            Data(payload).base64EncodedString(),
        ]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(
            output
                == ##"{'method': 'callback', 'host_id': 'h', 'sid': ['r', None], 'namespace': '/', 'id': 7, 'args': (b'\x00\xff', '\xe9', {'a': [123456789012345678901, -9223372036854775809, -18446744073709551616]})}"##
                + "\n")
    }
}
