import NIOCore
import NIOHTTP1

extension HTTPConnection {
    /// Adds HTTP to a channel.
    ///
    /// - Parameter headDeadline: when the first request's head must be there; nil counts from now.
    static func install(
        on channel: any Channel, host: any ConnectionHost, endpoints: HTTPEndpoints, headDeadline: NIODeadline? = nil
    ) throws {
        let configuration = host.connections.configuration
        // As `childChannelOption` would, but without a future for each.
        // A channel keeps what it reads into for as long as it lives, and most have little to read.
        try channel.syncOptions?.setOption(
            .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 512, maximum: 65536))
        try channel.syncOptions?.setOption(
            .writeBufferWaterMark,
            value: .init(low: configuration.writeBufferBytes / 2, high: configuration.writeBufferBytes))
        host.connections.opened(channel)
        let parser = makeParser()
        try channel.pipeline.syncOperations.addHandler(parser)
        try channel.pipeline.syncOperations.addHandler(
            HTTPConnection(
                host: host, endpoints: endpoints, parser: parser,
                headDeadline: headDeadline ?? .now() + TimeAmount(configuration.headTimeout)))
    }
}
