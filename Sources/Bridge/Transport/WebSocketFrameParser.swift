import NIOCore

/// A rule that a client's websocket frames break; each violation ends the connection.
enum WebSocketViolation: Error { case frameBits, opcode, controlFrame, fragmentation, tooLarge }

/// A client's frame, unmasked (RFC 6455, section 5.2).
struct WebSocketFrame: Equatable {
    enum Opcode: UInt8 { case continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 }

    var opcode: Opcode
    var isFinal: Bool
    var payload: [UInt8]
}

/// Reads frames from a client's bytes. Bytes of an incomplete frame stay in the caller's buffer.
///
///     byte 0   FIN | RSV 1-3 | opcode
///     byte 1   MASK | length: up to 125, 126 (two bytes follow) or 127 (eight bytes follow)
///     then     masking key (4 bytes), payload
///
/// A header is checked as soon as it is complete, so that a frame over the limit costs only its header.
struct WebSocketFrameParser {
    /// Bytes that a frame's payload may have.
    let maximumBytes: Int

    /// - Returns: the next frame, taken out of the buffer; nil when more bytes are needed.
    func next(in buffer: inout ByteBuffer) throws(WebSocketViolation) -> WebSocketFrame? {
        guard let header = try header(in: buffer),
            buffer.readableBytes >= header.byteCount + header.payloadBytes
        else { return nil }
        buffer.moveReaderIndex(forwardBy: header.byteCount - 4)
        guard let key = buffer.readInteger(endianness: .little, as: UInt32.self),
            var payload = buffer.readBytes(length: header.payloadBytes)
        else { return nil }
        if key != 0 { Self.unmask(&payload, key) }
        return WebSocketFrame(opcode: header.opcode, isFinal: header.isFinal, payload: payload)
    }

    private struct Header {
        var opcode: WebSocketFrame.Opcode
        var isFinal: Bool
        var payloadBytes: Int
        /// Bytes of the header including the masking key.
        var byteCount: Int
    }

    private func header(in buffer: ByteBuffer) throws(WebSocketViolation) -> Header? {
        let start = buffer.readerIndex
        guard let bits: UInt16 = buffer.getInteger(at: start) else { return nil }
        guard bits & 0x7080 == 0x0080 else { throw .frameBits }
        guard let opcode = WebSocketFrame.Opcode(rawValue: UInt8(bits >> 8 & 0x0F)) else { throw .opcode }
        let isFinal = bits & 0x8000 != 0
        var header = Header(opcode: opcode, isFinal: isFinal, payloadBytes: Int(bits & 0x7F), byteCount: 6)
        if opcode.rawValue >= 8, !isFinal || header.payloadBytes > 125 { throw .controlFrame }
        switch header.payloadBytes {
        case 126:
            guard let length: UInt16 = buffer.getInteger(at: start + 2) else { return nil }
            header.payloadBytes = Int(length)
            header.byteCount += 2
        case 127:
            guard let length: UInt64 = buffer.getInteger(at: start + 2) else { return nil }
            guard let length = Int(exactly: length) else { throw .tooLarge }
            header.payloadBytes = length
            header.byteCount += 8
        default: break
        }
        guard header.payloadBytes <= maximumBytes else { throw .tooLarge }
        return header
    }

    /// - Parameter key: the masking key as it lies in memory.
    private static func unmask(_ payload: inout [UInt8], _ key: UInt32) {
        payload.withUnsafeMutableBytes { bytes in
            let wideKey = UInt64(key) << 32 | UInt64(key)
            var index = 0
            while index + 8 <= bytes.count {
                let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian ^ wideKey
                bytes.storeBytes(of: word.littleEndian, toByteOffset: index, as: UInt64.self)
                index += 8
            }
            while index < bytes.count {
                bytes[index] ^= UInt8(truncatingIfNeeded: key >> (8 * UInt32(index & 3)))
                index += 1
            }
        }
    }
}
