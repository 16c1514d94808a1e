import NIOCore

/// The header of an unmasked, unfragmented frame from server to client (RFC 6455, section 5.2).
enum WebSocketFrameHeader {
    static func write(_ opcode: WebSocketFrame.Opcode, payloadBytes: Int, to buffer: inout ByteBuffer) {
        buffer.writeInteger(0x80 | opcode.rawValue)
        switch payloadBytes {
        case ..<126: buffer.writeInteger(UInt8(payloadBytes))
        case ..<65536:
            buffer.writeInteger(126 as UInt8)
            buffer.writeInteger(UInt16(payloadBytes))
        default:
            buffer.writeInteger(127 as UInt8)
            buffer.writeInteger(UInt64(payloadBytes))
        }
    }
}
