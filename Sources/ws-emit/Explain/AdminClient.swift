import NIOCore
import NIOPosix

/// Sends one GET as HTTP 1.0, so that the response ends with the connection.
enum AdminClient {
    struct Answer {
        let status: Int
        let body: [UInt8]
    }

    /// The cause as a clause.
    struct Failure: Error, CustomStringConvertible { let description: String }

    private static let patience = TimeAmount.seconds(5)
    private static let maximumBytes = 16 << 20

    static func get(
        _ path: String, host: String, port: Int, bearer: String?, group: any EventLoopGroup
    ) async throws(Failure) -> Answer {
        let name = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        var request = "GET \(path) HTTP/1.0\r\nHost: \(name)\r\n"
        if let bearer { request += "Authorization: Bearer \(bearer)\r\n" }
        do {
            return try await exchange(request + "\r\n", host, port, group)
        } catch let failure as Failure {
            throw failure
        } catch let error as NIOConnectionError {
            let cause = error.connectionErrors.last.map { "\($0.error)" } ?? "the name can't be resolved"
            throw Failure(description: cause.contains("refused") ? "nothing listens there" : cause)
        } catch {
            throw Failure(description: "\(error)")
        }
    }

    private static func exchange(
        _ request: String, _ host: String, _ port: Int, _ group: any EventLoopGroup
    ) async throws -> Answer {
        let loop = group.any()
        let done = loop.makePromise(of: [UInt8].self)
        let deadline = loop.scheduleTask(in: patience) {
            done.fail(Failure(description: "no response within \(patience.nanoseconds / 1_000_000_000) seconds"))
        }
        defer { deadline.cancel() }
        do {
            let channel = try await ClientBootstrap(group: loop).connectTimeout(patience)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Collector(done: done, limit: maximumBytes))
                    }
                }
                .connect(host: host, port: port).get()
            try await channel.writeAndFlush(ByteBuffer(string: request)).get()
        } catch {
            done.fail(error)
        }
        return try parse(try await done.futureResult.get())
    }

    private static func parse(_ bytes: [UInt8]) throws(Failure) -> Answer {
        let end = Array("\r\n\r\n".utf8)
        guard let head = bytes.firstRange(of: end),
            let line = String(decoding: bytes[..<head.lowerBound], as: UTF8.self).split(separator: "\r\n").first,
            line.hasPrefix("HTTP/"), let status = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { throw Failure(description: "the server there does not speak HTTP") }
        return Answer(status: status, body: Array(bytes[head.upperBound...]))
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let done: EventLoopPromise<[UInt8]>
        private let limit: Int
        private var received: [UInt8] = []

        init(done: EventLoopPromise<[UInt8]>, limit: Int) {
            self.done = done
            self.limit = limit
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += unwrapInboundIn(data).readableBytesView
            if received.count > limit {
                done.fail(Failure(description: "the response is too long"))
                context.close(promise: nil)
            }
        }

        func channelInactive(context: ChannelHandlerContext) { done.succeed(received) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            done.fail(error)
            context.close(promise: nil)
        }
    }
}
