import NIOCore
import SocketIOProtocol

/// The payload of a client's close frame: nothing, or a code and a reason (RFC 6455, sections 5.5.1 and 7.4).
enum WebSocketCloseFrame {
    private static let protocolError: UInt16 = 1002
    private static let inconsistentData: UInt16 = 1007

    /// The code to answer with: the client's own, or why its frame is wrong. Nil when the client named none.
    static func answerCode(to payload: ByteBuffer) -> UInt16? {
        var rest = payload
        if rest.readableBytes == 0 { return nil }
        guard let code = rest.readInteger(as: UInt16.self), isAllowed(code) else { return protocolError }
        return UTF8Validation.isValid(rest.readableBytesView) ? code : inconsistentData
    }

    /// 1004 to 1006 and 1015 never travel; the registry ends at 1014, applications have 3000 to 4999.
    private static func isAllowed(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
