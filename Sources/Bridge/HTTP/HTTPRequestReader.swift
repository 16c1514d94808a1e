import NIOCore
import NIOHTTP1

/// NIO's parser of requests, and a short way past it for whole `POST /emit` requests of the plain kind.
///
/// The parser and the making of its parts are most of what such a request costs. It may be passed by between two requests
/// only, so the short way is open as long as it is known where the message in hand ends.
final class HTTPRequestReader: ByteToMessageDecoder {
    typealias InboundOut = HTTPServerRequestPart

    private let parser = HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes)
    /// What the parser still has to get of its message; nil, for good, when that isn't known.
    private var missing: Int? = 0
    private var connection: HTTPConnection?

    func decoderAdded(context: ChannelHandlerContext) { parser.decoderAdded(context: context) }

    func decoderRemoved(context: ChannelHandlerContext) {
        connection = nil
        parser.decoderRemoved(context: context)
    }

    func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        while let missing, buffer.readableBytes > 0 {
            if missing > 0 {
                try parse(min(missing, buffer.readableBytes), of: &buffer, context)
                continue
            }
            guard let head = buffer.withUnsafeReadableBytes({ PlainEmitHead($0) }),
                let connection = connection ?? findConnection(context), connection.takesBody(of: head)
            else {
                self.missing = nil
                break
            }
            let isWhole = buffer.readableBytes - head.byteCount >= head.bodyByteCount
            if isWhole, connection.isIdle {
                buffer.moveReaderIndex(forwardBy: head.byteCount)
                guard let body = buffer.readSlice(length: head.bodyByteCount) else { break }
                connection.received(head, body: body)
            } else {
                self.missing = head.byteCount + head.bodyByteCount
            }
        }
        return buffer.readableBytes > 0 ? try parser.decode(context: context, buffer: &buffer) : .needMoreData
    }

    func decodeLast(context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool) throws -> DecodingState {
        missing = nil
        return try parser.decodeLast(context: context, buffer: &buffer, seenEOF: seenEOF)
    }

    /// Gives the parser bytes of a message whose head is whole, which it takes all.
    private func parse(_ count: Int, of buffer: inout ByteBuffer, _ context: ChannelHandlerContext) throws {
        guard var part = buffer.readSlice(length: count) else { return }
        missing = missing.map { $0 - count }
        _ = try parser.decode(context: context, buffer: &part)
    }

    private func findConnection(_ context: ChannelHandlerContext) -> HTTPConnection? {
        connection = try? context.pipeline.syncOperations.handler(type: HTTPConnection.self)
        return connection
    }
}
