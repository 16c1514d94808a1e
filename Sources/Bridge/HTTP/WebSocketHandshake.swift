import NIOCore
import NIOHTTP1
import NIOWebSocket

/// The opening handshake of a websocket (RFC 6455, section 4.2).
enum WebSocketHandshake {
    static func isRequested(by head: HTTPRequestHead) -> Bool {
        head.headers[canonicalForm: "upgrade"].contains { $0.lowercased() == "websocket" }
    }

    /// The 101 response, ready to be sent; fails when key or version are not as they must be.
    static func response(to head: HTTPRequestHead, on channel: any Channel) -> EventLoopFuture<ByteBuffer> {
        let upgrader = NIOWebSocketServerUpgrader(
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
        return upgrader.buildUpgradeResponse(channel: channel, upgradeRequest: head, initialResponseHeaders: [:])
            .map { headers in
                var response = ByteBuffer(string: "HTTP/1.1 101 Switching Protocols\r\n")
                for header in headers { response.writeString("\(header.name): \(header.value)\r\n") }
                response.writeString("\r\n")
                return response
            }
    }
}
