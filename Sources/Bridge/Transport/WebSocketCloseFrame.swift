import Bytes

/// Reasons for which a server closes a websocket (RFC 6455, section 7.4.1).
enum WebSocketCloseCode: UInt16 {
    case normalClosure = 1000
    case goingAway = 1001
    case protocolError = 1002
    case inconsistentData = 1007
    case policyViolation = 1008
    case messageTooLarge = 1009
    case tryAgainLater = 1013
}

/// The payload of a client's close frame: nothing, or a code and a reason (RFC 6455, sections 5.5.1 and 7.4).
enum WebSocketCloseFrame {
    /// The code to send back: the client's own, or an error code if its frame is invalid. Nil if the client sent none.
    static func responseCode(to payload: [UInt8]) -> UInt16? {
        if payload.isEmpty { return nil }
        let code = payload.prefix(2).reduce(0 as UInt16) { $0 << 8 | UInt16($1) }
        guard payload.count >= 2, isAllowed(code) else { return WebSocketCloseCode.protocolError.rawValue }
        let isText = payload.dropFirst(2).withUnsafeBytes { WTF8.isValid($0, surrogates: false) }
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
