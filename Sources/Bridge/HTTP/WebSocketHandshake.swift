import NIOCore
import NIOHTTP1
import NIOWebSocket

/// The opening handshake of a websocket (RFC 6455, section 4.2).
enum WebSocketHandshake {
    static func isRequested(by head: HTTPRequestHead) -> Bool {
        guard let upgrade = head.headers.first(name: "upgrade") else { return false }
        return upgrade == "websocket"
            || head.headers[canonicalForm: "upgrade"].contains { $0.lowercased() == "websocket" }
    }

    private static let upgrader = NIOWebSocketServerUpgrader(
        shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
        upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })

    /// The headers of the 101 response; fails when key or version are not as they must be.
    static func answer(_ head: HTTPRequestHead, on channel: any Channel) -> EventLoopFuture<HTTPHeaders> {
        upgrader.buildUpgradeResponse(channel: channel, upgradeRequest: head, initialResponseHeaders: [:])
    }

    /// The 101 response, ready to be sent.
    static func response(_ headers: HTTPHeaders) -> ByteBuffer {
        var response = ByteBuffer()
        response.reserveCapacity(512)
        response.writeStaticString("HTTP/1.1 101 Switching Protocols\r\n")
        for header in headers {
            response.writeString(header.name)
            response.writeStaticString(": ")
            response.writeString(header.value)
            response.writeStaticString("\r\n")
        }
        response.writeStaticString("\r\n")
        return response
    }
}
