import Bytes
import Testing

@testable import SocketIOProtocol

@Suite struct SocketIOPacketWriterTests {
    private static func write(_ body: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        body(&writer)
        return String(decoding: writer.copyBytes(), as: UTF8.self)
    }

    @Test(
        arguments: [
            (.event, 0, "/", nil, "42"), (.event, 0, "/", 7, "427"), (.event, 0, "/chat", nil, "42/chat,"),
            (.event, 0, "/chat", 12, "42/chat,12"), (.binaryEvent, 1, "/", nil, "451-"),
            (.binaryEvent, 12, "/chat", 0, "4512-/chat,0"), (.ack, 0, "/", 0, "430"), (.binaryAck, 2, "/", 3, "462-3"),
            (.connect, 0, "/", nil, "40"), (.disconnect, 0, "/a", nil, "41/a,"),
            (.event, 0, "/\u{E9}", nil, "42/\u{E9},"),
        ] as [(SocketIOPacketType, Int, ByteString, Int?, String)])
    func `the head has what the packet has`(
        type: SocketIOPacketType, attachments: Int, namespace: ByteString, ackID: Int?, text: String
    ) {
        let head = Self.write {
            SocketIOPacketWriter.writeHead(
                type, attachmentCount: attachments, namespace: namespace, ackID: ackID, to: &$0)
        }
        #expect(Array(head.utf8) == Array(text.utf8))
    }

    @Test func `the answers to CONNECT and DISCONNECT`() {
        #expect(
            Self.write { SocketIOPacketWriter.writeConnect(namespace: "/", sid: "s", to: &$0) } == #"40{"sid":"s"}"#)
        #expect(
            Self.write { SocketIOPacketWriter.writeConnect(namespace: "/a", sid: "s", to: &$0) } == #"40/a,{"sid":"s"}"#
        )
        #expect(
            Self.write { SocketIOPacketWriter.writeConnectError(namespace: "/a", to: &$0) }
                == #"44/a,{"message":"Unable to connect"}"#)
        #expect(Self.write { SocketIOPacketWriter.writeDisconnect(namespace: "/", to: &$0) } == "41")
        #expect(Self.write { SocketIOPacketWriter.writeDisconnect(namespace: "/a", to: &$0) } == "41/a,")
    }

    @Test func `what is written is read back`() throws {
        for namespace in ["/", "/chat", "/a/b"] as [ByteString] {
            for ackID in [nil, 0, 5, 999_999_999_999_999] {
                var writer = JSONWriter()
                SocketIOPacketWriter.writeHead(.event, namespace: namespace, ackID: ackID, to: &writer)
                writer.append(#"["x"]"#)
                let packet = try SocketIOPacket(writer.copyBytes().dropFirst())
                #expect(packet.namespace == namespace && packet.ackID == ackID)
            }
        }
    }
}
