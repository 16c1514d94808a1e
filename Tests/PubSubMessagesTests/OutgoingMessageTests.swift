import PickleCodec
import Testing

@testable import PubSubMessages

/// Compares the payloads with those that python-socketio's `PubSubManager` publishes.
@Suite struct OutgoingMessageTests {
    @Test func `an emit for everybody has no room, and several sids are a list`() {
        let message = OutgoingMessage.emit(
            event: "e", rooms: [], namespace: "/", skipping: ["s", "t"], hostID: "h")
        #expect(
            String(decoding: message.json(), as: UTF8.self)
                == #"{"method":"emit","event":"e","data":null,"namespace":"/","room":null,"skip_sid":["s","t"],"#
                + #""callback":null,"host_id":"h"}"#)
    }

    @Test(
        arguments: [
            (.yes, nil, #""keep":true"#), (.no, "a", #""keep":false,"key":"a""#),
            (.forSeconds(300), nil, #""keep":300"#),
            (.forSeconds(0.5), "é", ##""keep":0.5,"key":"\u00e9""##), (nil, "a", #""key":"a""#),
        ] as [(KeepRequest?, String?, String)])
    func `keep and key stand before the host id, and are read back`(keep: KeepRequest?, key: String?, json: String)
        throws
    {
        let message = OutgoingMessage.emit(event: "e", rooms: ["r"], namespace: "/", keep: keep, key: key, hostID: "h")
        let text = String(decoding: message.json(), as: UTF8.self)
        #expect(text.hasSuffix(#""callback":null,\#(json),"host_id":"h"}"#), "\(text)")
        for payload in [message.json()] + (0...5).map({ message.pickle(version: $0) }) {
            guard case .emit(let emit) = try PubSubMessageDecoder(hostID: "own").decode(bytes: payload) else {
                Issue.record("no emit")
                continue
            }
            #expect(emit.keep == keep && emit.key?.text == key)
        }
    }

    static let controls: [(message: OutgoingMessage, json: String)] = [
        (
            .closeRoom("r", namespace: "/n", hostID: "h"),
            #"{"method":"close_room","room":"r","namespace":"/n","host_id":"h"}"#
        ),
        (
            .disconnect("s", namespace: "/", hostID: "h"),
            #"{"method":"disconnect","sid":"s","namespace":"/","host_id":"h"}"#
        ),
        (
            .membership(.enter, sid: "s", room: "r", namespace: "/", hostID: "h"),
            #"{"method":"enter_room","sid":"s","room":"r","namespace":"/","host_id":"h"}"#
        ),
    ]

    @Test(arguments: controls.indices)
    func `rooms and clients are named as python-socketio does`(index: Int) throws {
        let (message, json) = Self.controls[index]
        #expect(String(decoding: message.json(), as: UTF8.self) == json)
        for version in 0...5 {
            guard case .dict(let dict) = try PickleValue(decoding: message.pickle(version: version)) else {
                Issue.record("no dict")
                continue
            }
            let pairs = dict.pairs.map { "\"\($0.key.string ?? "")\":\"\($0.value.string ?? "")\"" }
            #expect("{\(pairs.joined(separator: ","))}" == json)
        }
    }
}
