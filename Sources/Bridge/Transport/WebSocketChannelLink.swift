import NIOCore

/// A websocket over one of NIO's channels, as the only handler of its pipeline.
final class WebSocketChannelLink: ChannelInboundHandler, WebSocketLink {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let host: any ConnectionHost
    private let connection: WebSocketConnection
    private let purpose: WebSocketConnection.Purpose
    private var context: ChannelHandlerContext?
    /// Writes that the channel has not finished.
    private var writesPending = 0
    private var closesWhenSent = false

    init(_ connection: WebSocketConnection, for purpose: WebSocketConnection.Purpose, host: any ConnectionHost) {
        self.connection = connection
        self.purpose = purpose
        self.host = host
    }

    // MARK: Outgoing

    let openDescriptor: CInt = -1

    var unsentBytes: Int {
        writesPending == 0 ? 0 : (try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    /// The channel holds less than its high watermark.
    var isWritable: Bool { writesPending == 0 || context?.channel.isWritable ?? false }

    func write(_ bytes: ByteBuffer) {
        guard let context else { return }
        writesPending += 1
        context.writeAndFlush(wrapOutboundOut(bytes)).assumeIsolated().whenComplete { _ in
            self.writesPending -= 1
            if self.closesWhenSent, self.writesPending == 0 { self.close() }
        }
    }

    func closeWhenSent() {
        closesWhenSent = true
        if writesPending == 0 { close() }
    }

    func close() { context?.close(promise: nil) }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { connection.open(over: self, for: purpose) }
    }

    func channelActive(context: ChannelHandlerContext) { connection.open(over: self, for: purpose) }

    func handlerRemoved(context: ChannelHandlerContext) { disconnected() }

    func channelInactive(context: ChannelHandlerContext) { disconnected() }

    private func disconnected() {
        context = nil
        connection.disconnected()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        connection.received(&bytes)
    }

    func channelReadComplete(context: ChannelHandlerContext) { host.flush() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { connection.canSendAgain() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
