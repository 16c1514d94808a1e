import NIOCore

/// The header of an unmasked, unfragmented frame from server to client (RFC 6455, section 5.2).
enum WebSocketFrameHeader {
    static func write(_ opcode: WebSocketFrame.Opcode, payloadBytes: Int, to buffer: inout ByteBuffer) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: maximumBytes) {
            write(opcode, payloadBytes: payloadBytes, to: $0)
        }
    }

    /// The longest header.
    static let maximumBytes = 10

    /// Writes a header to memory that has room for the longest one.
    ///
    /// - Returns: its length.
    static func write(
        _ opcode: WebSocketFrame.Opcode, payloadBytes: Int, to target: UnsafeMutableRawBufferPointer
    ) -> Int {
        precondition(target.count >= maximumBytes)
        target[0] = 0x80 | opcode.rawValue
        switch payloadBytes {
        case ..<126:
            target[1] = UInt8(payloadBytes)
            return 2
        case ..<65536:
            target[1] = 126
            target.storeBytes(of: UInt16(payloadBytes).bigEndian, toByteOffset: 2, as: UInt16.self)
            return 4
        default:
            target[1] = 127
            target.storeBytes(of: UInt64(payloadBytes).bigEndian, toByteOffset: 2, as: UInt64.self)
            return 10
        }
    }
}
