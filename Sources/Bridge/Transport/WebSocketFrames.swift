import Bytes
import NIOCore

/// A rule that a client's websocket frames break; each violation ends the connection.
enum WebSocketViolation: String, Error, CustomStringConvertible {
    case frameBits = "reserved bits, or no mask"
    case opcode = "an unknown opcode"
    case controlFrame = "a control frame in fragments or over 125 bytes"
    case fragmentation = "a fragment without a beginning, or a message inside another"
    case encoding = "text that is not UTF-8"
    case tooLarge = "a message over the limit"

    var description: String { rawValue }

    var closeCode: WebSocketCloseCode {
        switch self {
        case .frameBits, .opcode, .controlFrame, .fragmentation: .protocolError
        case .encoding: .inconsistentData
        case .tooLarge: .messageTooLarge
        }
    }
}

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
        unsafe payload.withUnsafeMutableBytes { bytes in
            let wideKey = UInt64(key) << 32 | UInt64(key)
            var index = 0
            while index + 8 <= bytes.count {
                let word = unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian ^ wideKey
                unsafe bytes.storeBytes(of: word.littleEndian, toByteOffset: index, as: UInt64.self)
                index += 8
            }
            while index < bytes.count {
                unsafe bytes[index] ^= UInt8(truncatingIfNeeded: key >> (8 * UInt32(index & 3)))
                index += 1
            }
        }
    }
}

/// The header of an unmasked, unfragmented frame from server to client (RFC 6455, section 5.2).
enum WebSocketFrameHeader {
    static func write(_ opcode: WebSocketFrame.Opcode, payloadBytes: Int, to buffer: inout ByteBuffer) {
        unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: maximumBytes) {
            unsafe write(opcode, payloadBytes: payloadBytes, to: $0)
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
        unsafe target[0] = 0x80 | opcode.rawValue
        switch payloadBytes {
        case ..<126:
            unsafe target[1] = UInt8(payloadBytes)
            return 2
        case ..<65536:
            unsafe target[1] = 126
            unsafe target.storeBytes(of: UInt16(payloadBytes).bigEndian, toByteOffset: 2, as: UInt16.self)
            return 4
        default:
            unsafe target[1] = 127
            unsafe target.storeBytes(of: UInt64(payloadBytes).bigEndian, toByteOffset: 2, as: UInt64.self)
            return 10
        }
    }
}

/// Joins the fragments of a message (RFC 6455, section 5.4).
struct WebSocketMessageAssembler {
    struct Message: Equatable {
        var isBinary: Bool
        var payload: [UInt8]
    }

    private var partial: Message?
    let maximumBytes: Int
    /// Bytes of the fragments of an incomplete message.
    var partialBytes: Int { partial?.payload.count ?? 0 }

    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// - Parameter frame: a data frame; control frames may come between fragments and are not passed here.
    /// - Returns: the message that this frame completes; nil while fragments are missing.
    mutating func received(_ frame: WebSocketFrame) throws(WebSocketViolation) -> Message? {
        var message: Message
        if frame.opcode == .continuation {
            guard var begun = partial else { throw .fragmentation }
            partial = nil
            guard begun.payload.count + frame.payload.count <= maximumBytes else { throw .tooLarge }
            begun.payload += frame.payload
            message = begun
        } else {
            guard partial == nil else { throw .fragmentation }
            message = Message(isBinary: frame.opcode == .binary, payload: frame.payload)
        }
        if frame.isFinal { return message }
        partial = message
        return nil
    }
}

/// Reasons for which a server closes a websocket (RFC 6455, section 7.4.1).
enum WebSocketCloseCode: UInt16 {
    case normalClosure = 1000
    case goingAway = 1001
    case protocolError = 1002
    case inconsistentData = 1007
    case policyViolation = 1008
    case messageTooLarge = 1009
    case tryAgainLater = 1013
    /// In the range that applications choose themselves, so that pages can tell it from other reasons.
    case slowClient = 4008
}

/// The payload of a client's close frame: nothing, or a code and a reason (RFC 6455, sections 5.5.1 and 7.4).
enum WebSocketCloseFrame {
    /// The code to send back: the client's own, or an error code if its frame is invalid. Nil if the client sent none.
    static func responseCode(to payload: [UInt8]) -> UInt16? {
        if payload.isEmpty { return nil }
        let code = payload.prefix(2).reduce(0 as UInt16) { $0 << 8 | UInt16($1) }
        guard payload.count >= 2, isAllowed(code) else { return WebSocketCloseCode.protocolError.rawValue }
        let isText = unsafe payload.dropFirst(2).withUnsafeBytes { unsafe WTF8.isValid($0, surrogates: false) }
        return isText ? code : WebSocketCloseCode.inconsistentData.rawValue
    }

    /// 1004 to 1006 and 1015 are never sent; registered codes end at 1014, and applications use 3000 to 4999.
    private static func isAllowed(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
