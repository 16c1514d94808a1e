import Bytes

/// Writes Socket.IO v5 packets with their Engine.IO prefix: `4`, type, attachments, namespace, ack id, JSON.
package enum SocketIOPacketWriter {
    /// `42["x",1]`, `42/chat,7["x",1]`, `451-["x",{…}]`: the head of an event or ack; the JSON follows.
    package static func writeHead(
        _ type: SocketIOPacketType, attachmentCount: Int = 0, namespace: ByteString, ackID: Int? = nil,
        to writer: inout JSONWriter
    ) {
        writer.append(EngineIOPacketType.message.rawValue)
        writer.append(type.rawValue)
        if type == .binaryEvent || type == .binaryAck {
            writer.appendInteger(Int64(attachmentCount))
            writer.append(UInt8(ascii: "-"))
        }
        if namespace != SocketIOPacket.root {
            unsafe namespace.withUnsafeBytes { unsafe writer.append(raw: $0) }
            writer.append(UInt8(ascii: ","))
        }
        if let ackID { writer.appendInteger(Int64(ackID)) }
    }

    /// `40{"sid":"…"}` or `40/chat,{"sid":"…"}`: the response to CONNECT.
    ///
    /// - Parameter pid: by which the client may recover the connection; nil if it can't.
    package static func writeConnect(
        namespace: ByteString, sid: ByteString, pid: ByteString? = nil, to writer: inout JSONWriter
    ) {
        writeHead(.connect, namespace: namespace, to: &writer)
        writer.append("{\"sid\":")
        unsafe sid.withUnsafeBytes { unsafe writer.appendString(wtf8: $0) }
        if let pid {
            writer.append(",\"pid\":")
            unsafe pid.withUnsafeBytes { unsafe writer.appendString(wtf8: $0) }
        }
        writer.append("}")
    }

    /// `44{"message":"Unable to connect"}`: the refusal, worded as python-socketio's. JavaScript clients make an error of
    /// the member `message`.
    package static func writeConnectError(namespace: ByteString, to writer: inout JSONWriter) {
        writeHead(.connectError, namespace: namespace, to: &writer)
        writer.append("{\"message\":\"Unable to connect\"}")
    }

    /// `41` or `41/chat,`.
    package static func writeDisconnect(namespace: ByteString, to writer: inout JSONWriter) {
        writeHead(.disconnect, namespace: namespace, to: &writer)
    }
}
