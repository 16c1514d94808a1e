import NIOCore
import NIOWebSocket

/// What a client's websocket frames break; each ends the connection.
enum WebSocketViolation: Error { case frameBits, opcode, fragmentation, tooLarge }

/// Joins the fragments of a message (RFC 6455, section 5.4).
struct WebSocketMessageAssembler {
    struct Message {
        var isBinary: Bool
        var payload: ByteBuffer
    }

    private var partial: Message?
    let maximumBytes: Int

    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// - Returns: the message that this frame completes, nil in the middle of one.
    mutating func received(_ frame: WebSocketFrame) throws(WebSocketViolation) -> Message? {
        var message: Message
        if frame.opcode == .continuation {
            guard var begun = partial else { throw .fragmentation }
            partial = nil
            guard begun.payload.readableBytes + frame.length <= maximumBytes else { throw .tooLarge }
            begun.payload.writeImmutableBuffer(frame.unmaskedData)
            message = begun
        } else {
            guard partial == nil else { throw .fragmentation }
            message = Message(isBinary: frame.opcode == .binary, payload: frame.unmaskedData)
        }
        if frame.fin { return message }
        partial = message
        return nil
    }
}
