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
        let channel = makeChannel(connection.descriptor.take()) { channel in
            try channel.pipeline.syncOperations.addHandler(WebSocketChannelLink(webSocket, for: purpose, host: self))
        }
        channel.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel):
                if connection.unread.readableBytes > 0 { channel.pipeline.fireChannelRead(connection.unread) }
            case .failure(let error): self.notAdopted(error)
            }
        }
    }

    /// Makes a connected socket one of NIO's channels. NIO closes the descriptor if it fails.
    ///
    /// - Parameter autoRead: whether the channel reads at once.
    func makeChannel(
        _ descriptor: CInt, autoRead: Bool = true, _ addHandlers: @escaping (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let bound = NIOLoopBound((table: connections, addHandlers: addHandlers), eventLoop: eventLoop)
        return ClientBootstrap(group: eventLoop)
            .channelOption(.autoRead, value: autoRead)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try bound.value.table.opened(channel)
                    try bound.value.addHandlers(channel)
                }
            }
            .withConnectedSocket(descriptor)
    }

    private func notAdopted(_ error: any Error) {
        connections.logger.debug("websocket not taken over", metadata: ["cause": "\(error)"])
    }
}
