import NIOCore
import NIOHTTP1
import SocketIOProtocol

/// The opening handshake of a websocket (RFC 6455, section 4.2).
enum WebSocketHandshake {
    static func isRequested(by head: HTTPRequestHead) -> Bool {
        head.headers[canonicalForm: "upgrade"].contains { $0.lowercased() == "websocket" }
            && head.headers[canonicalForm: "connection"].contains { $0.lowercased() == "upgrade" }
    }

    /// The client's key; nil when the headers are not as they must be.
    static func key(of head: HTTPRequestHead) -> String? {
        let (keys, versions) = (head.headers["sec-websocket-key"], head.headers["sec-websocket-version"])
        return keys.count == 1 && versions == ["13"] ? keys[0] : nil
    }

    /// The 101 response, ready to be sent.
    static func response(to key: some Collection<UInt8>) -> ByteBuffer {
        var response = ByteBuffer()
        // With room for the packet that leaves with it.
        response.reserveCapacity(512)
        response.writeStaticString(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
        let digest = SHA1.digest(of: key + Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8))
        digest.withUnsafeBytes { bytes in Base64.encode(bytes) { response.writeInteger($0) } }
        response.writeStaticString("\r\n\r\n")
        return response
    }
}
