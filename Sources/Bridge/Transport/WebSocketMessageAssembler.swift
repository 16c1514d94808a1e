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
