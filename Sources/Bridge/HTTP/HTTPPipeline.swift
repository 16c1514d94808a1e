import NIOCore
import NIOHTTP1

extension HTTPConnection {
    /// Makes a channel one of the shard's HTTP connections.
    ///
    /// - Parameter headDeadline: when the first request's head must be there; nil counts from now.
    static func install(
        on channel: any Channel, shard: Shard, endpoints: HTTPEndpoints, headDeadline: NIODeadline? = nil
    ) throws {
        let configuration = shard.configuration
        // As `childChannelOption` would, but without a future for each.
        // A channel keeps what it reads into for as long as it lives, and most have little to read.
        try channel.syncOptions?.setOption(
            .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 512, maximum: 65536))
        try channel.syncOptions?.setOption(
            .writeBufferWaterMark,
            value: .init(low: configuration.writeBufferBytes / 2, high: configuration.writeBufferBytes))
        shard.connectionOpened(channel)
        let parser = makeParser()
        try channel.pipeline.syncOperations.addHandler(parser)
        try channel.pipeline.syncOperations.addHandler(
            HTTPConnection(
                shard: shard, endpoints: endpoints, parser: parser,
                headDeadline: headDeadline ?? .now() + TimeAmount(configuration.headTimeout)))
    }
}
