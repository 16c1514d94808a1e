import Bytes
import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// The opening handshake of a websocket (RFC 6455, section 4.2).
enum WebSocketHandshake {
    static let version = (name: "Sec-WebSocket-Version", value: "13")

    static func isRequested(by head: HTTPRequestHead) -> Bool {
        head.headers[canonicalForm: "upgrade"].contains { $0.lowercased() == "websocket" }
            && head.headers[canonicalForm: "connection"].contains { $0.lowercased() == "upgrade" }
            && head.version != .http1_0
    }

    /// The 101 response to a request; nil if its headers are invalid.
    static func response(to head: HTTPRequestHead) -> ByteBuffer? {
        let (keys, versions) = (head.headers["sec-websocket-key"], head.headers["sec-websocket-version"])
        guard versions == [version.value], keys.count == 1, isKey(keys[0].utf8) else { return nil }
        let offers = head.headers[canonicalForm: "sec-websocket-protocol"].filter { !$0.isEmpty }
        guard offers.allSatisfy({ $0.utf8.allSatisfy(isInToken) }) else { return nil }
        return response(to: keys[0].utf8, subprotocol: offers.first)
    }

    /// True if a key is 16 bytes in base64.
    static func isKey(_ key: some Collection<UInt8>) -> Bool {
        key.count == 24 && key.dropFirst(22).elementsEqual("==".utf8) && key.prefix(22).allSatisfy(Base64.isDigit)
    }

    /// True if a byte may be in a token (RFC 9110, section 5.6.2).
    private static func isInToken(_ byte: UInt8) -> Bool {
        byte.isAlphanumeric || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }

    /// The 101 response, ready to be sent.
    ///
    /// - Parameter subprotocol: the first that the client offers, as Node's server chooses.
    static func response(to key: some Collection<UInt8>, subprotocol: Substring? = nil) -> ByteBuffer {
        var response = ByteBuffer()
        // Leaves room for the packet that is sent with it.
        response.reserveCapacity(512)
        response.writeStaticString(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
        let digest = SHA1.digest(of: key + Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8))
        unsafe digest.withUnsafeBytes { unsafe Base64.withEncoded($0) { _ = unsafe response.writeBytes($0) } }
        if let subprotocol {
            response.writeStaticString("\r\nSec-WebSocket-Protocol: ")
            response.writeSubstring(subprotocol)
        }
        response.writeStaticString("\r\n\r\n")
        return response
    }
}
