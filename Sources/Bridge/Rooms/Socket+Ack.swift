import Bytes
import SocketIOProtocol

/// Acks to the client. They are sent also to a socket that has left its namespace meanwhile: its page may still wait for one.
extension Socket {
    /// Acks a refused `join` or `leave`, if the client asked for an ack.
    func acknowledge(_ id: Int?, _ refusal: JoinRequest.Refusal) {
        guard let id else { return }
        acknowledge(id) { packet in
            packet.append(#"[{"ok":false,"error":"#)
            ByteString(refusal.rawValue).withUnsafeBytes { packet.appendString(wtf8: $0) }
            packet.append("}]")
        }
    }

    /// - Parameter arguments: a JSON array.
    func acknowledge(_ id: Int, _ arguments: StaticString) {
        acknowledge(id) { $0.append(arguments) }
    }

    private func acknowledge(_ id: Int, writeArguments: (inout JSONWriter) -> Void) {
        session.enqueueSolicited { packet in
            SocketIOPacketWriter.writeHead(.ack, namespace: namespace.name, ackID: id, to: &packet)
            writeArguments(&packet)
        }
    }
}
