import JSONCodec
import NIOCore
import PubSubMessages
import SocketIOProtocol

/// One packet, written once and shared by all the clients of all event loops that get it.
///
///     frames:  [header][42["update",{"time":1}]][header][attachment]…     what a websocket sends, in one write
///     text:            [42["update",{"time":1}]]                          what a polling client reads
final class EncodedPacket: Sendable {
    let frames: ByteBuffer
    private let textRange: Range<Int>
    private let attachmentRanges: [Range<Int>]

    /// Engine.IO packets in it: the text and each attachment.
    var partCount: Int { 1 + attachmentRanges.count }
    var byteCount: Int { frames.readableBytes }

    init(text: UnsafeRawBufferPointer, attachments: [[UInt8]] = []) {
        var buffer = ByteBufferAllocator().buffer(
            capacity: text.count + attachments.reduce(10) { $0 + $1.count + 10 })
        WebSocketFrameHeader.write(.text, payloadBytes: text.count, to: &buffer)
        textRange = buffer.writerIndex..<(buffer.writerIndex + text.count)
        buffer.writeBytes(text)
        attachmentRanges = attachments.map { attachment in
            WebSocketFrameHeader.write(.binary, payloadBytes: attachment.count, to: &buffer)
            let start = buffer.writerIndex
            buffer.writeBytes(attachment)
            return start..<buffer.writerIndex
        }
        frames = buffer
    }

    /// An event of a namespace, with the ack id that one client gets or none for all.
    static func event(
        _ body: EventBody, namespace: ByteString, ackID: Int? = nil, scratch: inout JSONWriter
    ) -> EncodedPacket {
        scratch.removeAll()
        SocketIOPacketWriter.writeHead(
            body.attachments.isEmpty ? .event : .binaryEvent, attachmentCount: body.attachments.count,
            namespace: namespace, ackID: ackID, to: &scratch)
        body.json.withUnsafeBytes { scratch.append(raw: $0) }
        return scratch.withUnsafeBytes { EncodedPacket(text: $0, attachments: body.attachments) }
    }

    /// `2`, `6` and `1`: an Engine.IO packet without payload.
    static func bare(_ type: EngineIOPacketType) -> EncodedPacket {
        withUnsafeBytes(of: type.rawValue) { EncodedPacket(text: $0) }
    }

    /// Appends one part to a polling payload: the text as it is, an attachment as `b` and base64.
    func appendPart(_ part: Int, to payload: inout ByteBuffer) {
        if part == 0 {
            payload.writeImmutableBuffer(slice(textRange))
        } else {
            payload.writeInteger(UInt8(ascii: "b"))
            slice(attachmentRanges[part - 1]).withUnsafeReadableBytes { bytes in
                Base64.encode(bytes) { payload.writeInteger($0) }
            }
        }
    }

    /// The websocket frames from one part on; all of them for 0.
    func frames(from part: Int) -> ByteBuffer {
        guard part > 0, part <= attachmentRanges.count else { return frames }
        let start = part == 1 ? textRange.upperBound : attachmentRanges[part - 2].upperBound
        return slice(start..<frames.writerIndex)
    }

    private func slice(_ range: Range<Int>) -> ByteBuffer {
        frames.getSlice(at: range.lowerBound, length: range.count) ?? ByteBuffer()
    }
}
