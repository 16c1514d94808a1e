import NIOCore

/// A websocket over one of NIO's channels, as the only handler of its pipeline.
final class WebSocketChannelLink: ChannelInboundHandler, WebSocketLink {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let host: any ConnectionHost
    private let connection: WebSocketConnection
    private let purpose: WebSocketConnection.Purpose
    private var context: ChannelHandlerContext?

    init(_ connection: WebSocketConnection, for purpose: WebSocketConnection.Purpose, host: any ConnectionHost) {
        self.connection = connection
        self.purpose = purpose
        self.host = host
    }

    // MARK: Outgoing

    let openDescriptor: CInt = -1

    var unsentBytes: Int { (try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 }

    /// The channel holds less than its high watermark.
    var isWritable: Bool { context?.channel.isWritable ?? false }

    func write(_ bytes: ByteBuffer) { context?.writeAndFlush(wrapOutboundOut(bytes), promise: nil) }

    func closeWhenSent() {
        context?.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in self.close() }
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
