import NIOCore
import NIOPosix

/// A connection whose first bytes decide what it is: a websocket, or anything else, which is NIO's.
final class UnidentifiedConnection: DirectSocketOwner {
    private let shard: Shard
    private let endpoints: HTTPEndpoints
    private let deadline: NIODeadline
    private var socket: DirectSocket?
    /// Place among the shard's unidentified connections.
    var index = 0

    init(_ descriptor: CInt, shard: Shard, endpoints: HTTPEndpoints, epollLoop: EpollLoop) throws(IOError) {
        self.shard = shard
        self.endpoints = endpoints
        deadline = .now() + TimeAmount(shard.configuration.headTimeout)
        socket = try DirectSocket(descriptor, owner: self, epollLoop: epollLoop)
    }

    func received(_ bytes: inout ByteBuffer) {
        guard let socket else { return }
        if let request = WebSocketRequest(bytes, path: endpoints.transport.path),
            endpoints.transport.opensSession(request)
        {
            shard.remove(self)
            bytes.moveReaderIndex(forwardBy: request.byteCount)
            let webSocket = WebSocketConnection(
                shard: shard, handshakeResponse: WebSocketHandshake.response(to: request.key))
            socket.hand(to: webSocket)
            webSocket.open(over: socket, for: .newSession)
            if bytes.readableBytes > 0 { webSocket.received(&bytes) }
        } else {
            speakHTTP(socket.release(), ByteBuffer(bytes.readableBytesView))
        }
    }

    /// Makes the connection one of NIO's, as if NIO had accepted it and read the first bytes.
    private func speakHTTP(_ descriptor: CInt, _ bytes: ByteBuffer) {
        let bound = NIOLoopBound((shard, endpoints, deadline), eventLoop: shard.eventLoop)
        ClientBootstrap(group: shard.eventLoop)
            // The first bytes first.
            .channelOption(.autoRead, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let (shard, endpoints, deadline) = bound.value
                    try HTTPConnection.install(on: channel, shard: shard, endpoints: endpoints, headDeadline: deadline)
                }
            }
            .withConnectedSocket(descriptor)
            // On failure NIO has closed the descriptor.
            .whenSuccess { channel in
                channel.pipeline.fireChannelRead(bytes)
                channel.pipeline.fireChannelReadComplete()
                channel.setOption(.autoRead, value: true).whenFailure { _ in channel.close(promise: nil) }
            }
    }

    func canSendAgain() {}

    func disconnected() {
        socket = nil
        shard.remove(self)
    }

    func close() { socket?.close() }

    func closeIfOverdue(at now: NIODeadline) -> Bool {
        guard now >= deadline else { return false }
        close()
        return true
    }
}
