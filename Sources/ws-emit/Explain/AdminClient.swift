import NIOCore
import NIOPosix

/// Sends one GET as HTTP 1.0, so that the response ends with the connection.
enum AdminClient {
    struct Response {
        let status: Int
        let body: [UInt8]
    }

    /// The cause as a clause.
    struct Failure: Error, CustomStringConvertible { let description: String }

    private static let patience = TimeAmount.seconds(5)
    private static let maximumBytes = 16 << 20

    static func get(
        _ path: String, host: String, port: Int, bearer: String?, group: any EventLoopGroup
    ) async throws(Failure) -> Response {
        let name = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        var request = "GET \(path) HTTP/1.0\r\nHost: \(name)\r\n"
        if let bearer { request += "Authorization: Bearer \(bearer)\r\n" }
        let deadline = NIODeadline.now() + patience
        do {
            let bytes = try await exchange(request + "\r\n", host, port, group, deadline)
            if NIODeadline.now() < deadline { return try parse(bytes) }
        } catch let failure as Failure {
            throw failure
        } catch let error as NIOConnectionError {
            let cause = error.connectionErrors.last.map { "\($0.error)" } ?? "the name can't be resolved"
            throw Failure(description: cause.contains("refused") ? "nothing listens there" : cause)
        } catch {
            if NIODeadline.now() < deadline { throw Failure(description: "\(error)") }
        }
        throw Failure(description: "no response within \(patience.nanoseconds / 1_000_000_000) seconds")
    }

    /// The bytes of the response, or fewer if the deadline comes earlier.
    private static func exchange(
        _ request: String, _ host: String, _ port: Int, _ group: any EventLoopGroup, _ deadline: NIODeadline
    ) async throws -> [UInt8] {
        let connection = try await ClientBootstrap(group: group).connectTimeout(patience)
            .connect(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        let channel = connection.channel
        let timer = channel.eventLoop.scheduleTask(deadline: deadline) { channel.close(promise: nil) }
        defer { timer.cancel() }
        return try await connection.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: request))
            var received: [UInt8] = []
            for try await bytes in inbound {
                received += bytes.readableBytesView
                guard received.count <= maximumBytes else { throw Failure(description: "the response is too long") }
            }
            return received
        }
    }

    private static func parse(_ bytes: [UInt8]) throws(Failure) -> Response {
        let end = Array("\r\n\r\n".utf8)
        guard let head = bytes.firstRange(of: end),
            let line = String(decoding: bytes[..<head.lowerBound], as: UTF8.self).split(separator: "\r\n").first,
            line.hasPrefix("HTTP/"), let status = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { throw Failure(description: "the server there does not speak HTTP") }
        return Response(status: status, body: Array(bytes[head.upperBound...]))
    }
}
