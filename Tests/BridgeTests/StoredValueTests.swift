import Bytes
import NIOCore
import PubSubMessages
import Testing

@testable import Bridge

/// Kept messages as they are stored in Redis.
@Suite struct StoredValueTests {
    private static func packet(
        _ json: String, _ attachments: [[UInt8]] = [], namespace: ByteString = "/"
    ) -> EncodedPacket {
        var scratch = JSONWriter(capacity: 64)
        return EventBody(json: Array(json.utf8), attachments: attachments).withEncodedEvent {
            PacketBuilder($0, namespace: namespace, scratch: &scratch).build()
        }
    }

    private static func encoded(
        _ json: String, _ attachments: [[UInt8]] = [], namespace: ByteString = "/"
    ) -> [UInt8] {
        StoredValue.encode(packet(json, attachments, namespace: namespace), namespace: namespace, stamp: 5, expires: 9)
            ?? []
    }

    @Test(arguments: ["/", "/chat", "/a[b-c"] as [ByteString])
    func `a value is read as it was written`(namespace: ByteString) throws {
        for attachments in [[], [[1, 2, 3], []]] as [[[UInt8]]] {
            let json = attachments.isEmpty ? #"["x",{"a":[1,"é"]}]"# : #"["x",{"_placeholder":true,"num":1}]"#
            let value = try #require(StoredValue(Self.encoded(json, attachments, namespace: namespace)))
            #expect(value.stamp == 5 && value.expires == 9)
            #expect(value.event == EventBody(json: Array(json.utf8), attachments: attachments))
            var scratch = JSONWriter(capacity: 64)
            let packet = value.packet(namespace: namespace, scratch: &scratch) { _ in .disconnect }
            #expect(packet.frames == Self.packet(json, attachments, namespace: namespace).frames)
        }
    }

    @Test func `a value that is cut, lengthened or changed in its head is no value`() {
        let bytes = Self.encoded(#"["x",{"_placeholder":true,"num":0}]"#, [[1, 2, 3]])
        #expect(StoredValue(bytes) != nil)
        for end in bytes.indices { #expect(StoredValue(Array(bytes[..<end])) == nil) }
        #expect(StoredValue(bytes + [0]) == nil)
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << UInt8(bit)
                // It may be another value, but never a trap or a broken packet.
                if let value = StoredValue(changed) { #expect(value.event.attachments.count == 1) }
            }
        }
        #expect(StoredValue([2] + bytes.dropFirst()) == nil, "of a later version")
    }

    @Test func `random bytes are no value`() {
        var random = SplitMix(state: 1)
        for _ in 0..<2000 {
            let count = Int.random(in: 0..<80, using: &random)
            let bytes = [StoredValue.version] + (0..<count).map { _ in UInt8.random(in: 0...8, using: &random) }
            #expect(StoredValue(bytes) == nil)
            #expect(StoredValue.slot(ofField: bytes) == nil)
        }
    }

    @Test(arguments: [
        #"{"x":1}"#, #"[1]"#, "[]", #"["x""#, #"["x"]]"#, "[\"\u{0}x\"]", #"["x",{"_placeholder":true,"num":1}]"#,
        #"["x",{"_placeholder":true,"num":-1}]"#, #"["x",[{"_placeholder":true}]]"#, "\u{FEFF}[\"x\"]", #" ["x"]"#,
    ])
    func `content that clients can't read is no value`(json: String) {
        var bytes = Self.encoded(#"["x"]"#, [[7]])
        // The length of the JSON, the attachments' number and length, then JSON and attachment.
        bytes.replaceSubrange((StoredValue.headBytes + 12)..., with: Array(json.utf8) + [7])
        bytes.replaceSubrange(
            StoredValue.headBytes..<StoredValue.headBytes + 4, with: [0, 0, 0, UInt8(json.utf8.count)])
        #expect(StoredValue(bytes) == nil)
    }

    @Test func `a text that isn't UTF-8 is no value`() {
        var bytes = Self.encoded(#"["xy"]"#)
        bytes[bytes.count - 3] = 0xFF
        #expect(StoredValue(bytes) == nil)
    }

    @Test func `lengths beyond the value take no memory`() {
        var bytes = Self.encoded(#"["x"]"#)
        bytes.replaceSubrange(StoredValue.headBytes..<StoredValue.headBytes + 8, with: repeatElement(0xFF, count: 8))
        #expect(StoredValue(bytes) == nil)
    }

    @Test func `values of the same message are equal but for their times`() {
        let packet = Self.packet(#"["x",1]"#)
        let first = StoredValue.encode(packet, namespace: "/", stamp: 1, expires: 2) ?? []
        let second = StoredValue.encode(packet, namespace: "/", stamp: 3, expires: 4) ?? []
        #expect(first != second && StoredValue.areSameMessage(first, second))
        #expect(!StoredValue.areSameMessage(first, Self.encoded(#"["x",2]"#)))
    }

    @Test func `a field names its slot without ambiguity`() throws {
        let slots = [
            KeptMessages.Slot(namespace: "/", room: "r", event: "e", key: ""),
            KeptMessages.Slot(namespace: "/", room: "1:r,1:e", event: "", key: "k"),
            KeptMessages.Slot(namespace: "/n", room: ByteString(bytes: [0, 0xFF, 0x2C]), event: "é", key: "1:2,"),
        ]
        for slot in slots {
            let field = try #require(StoredValue.field(of: slot))
            #expect(StoredValue.slot(ofField: field) == slot)
            for end in field.indices { #expect(StoredValue.slot(ofField: Array(field[..<end])) == nil) }
            #expect(StoredValue.slot(ofField: field + [0]) == nil)
        }
        #expect(Set(slots.compactMap { StoredValue.field(of: $0) }).count == slots.count)
    }

    @Test(arguments: ["x", "", "/a,b", "/a\nb"] as [ByteString])
    func `a namespace that would break a packet is not stored or loaded`(namespace: ByteString) {
        let slot = KeptMessages.Slot(namespace: namespace, room: "r", event: "e", key: "")
        #expect(StoredValue.field(of: slot) == nil)
        #expect(
            StoredValue.slot(ofField: Array("\(namespace.count):".utf8) + namespace.bytes + Array(",1:r,1:e,0:,".utf8))
                == nil)
    }

    @Test func `names beyond the bound are not stored`() {
        let name = ByteString(bytes: repeatElement(UInt8(ascii: "x"), count: StoredValue.maximumFieldBytes))
        #expect(StoredValue.field(of: KeptMessages.Slot(namespace: "/", room: name, event: "e", key: "")) == nil)
    }
}
