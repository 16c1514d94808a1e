import NIOCore

/// An accepted connection whose first bytes decide its protocol: a plain websocket request is served here, anything else by
/// NIO.
final class UnidentifiedConnection: DirectSocketOwner, TimedConnection {
    private let host: any ConnectionHost
    private let endpoints: any HTTPRequestHandler
    private let deadline: NIODeadline
    private var socket: DirectSocket?
    var index = 0

    init(
        _ descriptor: CInt, host: any ConnectionHost, endpoints: any HTTPRequestHandler, epollLoop: EpollLoop
    ) throws(IOError) {
        self.host = host
        self.endpoints = endpoints
        deadline = .now() + TimeAmount(host.configuration.headTimeout)
        socket = try DirectSocket(descriptor, owner: self, epollLoop: epollLoop)
    }

    func received(_ bytes: inout ByteBuffer) {
        guard let socket else { return }
        if let request = endpoints.webSocketRequest(in: bytes) {
            host.connections.remove(self)
            bytes.moveReaderIndex(forwardBy: request.byteCount)
            let webSocket = WebSocketConnection(
                host: host, handshakeResponse: WebSocketHandshake.response(to: request.key))
            socket.hand(to: webSocket)
            webSocket.open(over: socket, for: .newSession)
            if bytes.readableBytes > 0 { webSocket.received(&bytes) }
        } else {
            speakHTTP(socket.release(), ByteBuffer(bytes.readableBytesView))
        }
    }

    /// Makes the connection one of NIO's, as if NIO had accepted it and read the first bytes.
    private func speakHTTP(_ descriptor: CInt, _ bytes: ByteBuffer) {
        // Nothing is read before the first bytes have been passed on.
        let channel = host.makeChannel(descriptor, autoRead: false) { [host, endpoints, deadline] channel in
            try HTTPConnection.install(on: channel, host: host, endpoints: endpoints, headDeadline: deadline)
        }
        channel.whenSuccess { channel in
            channel.pipeline.fireChannelRead(bytes)
            channel.pipeline.fireChannelReadComplete()
            channel.setOption(.autoRead, value: true).whenFailure { _ in channel.close(promise: nil) }
        }
    }

    func canSendAgain() {}

    func disconnected() {
        socket = nil
        host.connections.remove(self)
    }

    func closeWhenIdle() { socket?.close() }

    func closeIfOverdue(at now: NIODeadline) -> Bool {
        guard now >= deadline else { return false }
        socket?.close()
        return true
    }
}
