import NIOCore
import NIOPosix

/// A connection that has asked for a websocket, on its way from the event loop that read the request to the session's event
/// loop. If nobody takes it over, it closes, and the client sees its websocket fail.
struct UpgradedConnection: Sendable {
    /// Connected and non-blocking.
    let descriptor: OwnedDescriptor
    let handshakeResponse: ByteBuffer
    /// Bytes that the client has sent behind its request.
    let unread: ByteBuffer
}

extension ConnectionHost {
    /// Opens the websocket of a connection.
    func adopt(_ connection: UpgradedConnection, for purpose: WebSocketConnection.Purpose) {
        let webSocket = WebSocketConnection(host: self, handshakeResponse: connection.handshakeResponse)
        guard let epollLoop = connections.epollLoop else { return adopt(connection, webSocket, for: purpose) }
        do throws(IOError) {
            let socket = try DirectSocket(connection.descriptor.take(), owner: webSocket, epollLoop: epollLoop)
            webSocket.open(over: socket, for: purpose)
            var unread = connection.unread
            if unread.readableBytes > 0 { webSocket.received(&unread) }
            flush()
        } catch {
            notAdopted(error)
        }
    }

    /// Without an epoll loop, the websocket goes over one of NIO's channels.
    private func adopt(
        _ connection: UpgradedConnection, _ webSocket: WebSocketConnection,
        for purpose: WebSocketConnection.Purpose
    ) {
        let host: any ConnectionHost = self
        let bound = NIOLoopBound((host: host, webSocket: webSocket, purpose: purpose), eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let (host, webSocket, purpose) = bound.value
                    host.connections.opened(channel)
                    try channel.syncOptions?.setOption(
                        .recvAllocator,
                        value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 512, maximum: 65536))
                    try channel.pipeline.syncOperations.addHandler(
                        WebSocketChannelLink(webSocket, for: purpose, host: host))
                }
            }
            .withConnectedSocket(connection.descriptor.take())
            // On failure NIO has closed the descriptor, and the client sees its websocket fail.
            .assumeIsolated().whenComplete { result in
                switch result {
                case .success(let channel):
                    if connection.unread.readableBytes > 0 { channel.pipeline.fireChannelRead(connection.unread) }
                case .failure(let error): self.notAdopted(error)
                }
            }
    }

    private func notAdopted(_ error: any Error) {
        connections.logger.debug("websocket not taken over", metadata: ["cause": "\(error)"])
    }
}
