import Bytes
import NIOCore
import SocketIOProtocol

/// Packets that are written once and shared by all receiving clients of all event loops.
///
///     frames:  [header][42["update",{"time":1}]][header][attachment]…     what a websocket sends, in one write
///     part:            [42["update",{"time":1}]]                          what a polling client reads
///
/// A part is one Engine.IO packet: a text or an attachment. Messages to the same rooms in one read share one of these.
final class EncodedPacket: Sendable {
    struct Part: Sendable {
        /// Offset of the header of its frame. Frame and content end at the same offset.
        let frameStart: Int
        let content: Range<Int>
        let isAttachment: Bool

        fileprivate func moved(by distance: Int) -> Part {
            Part(
                frameStart: frameStart + distance,
                content: (content.lowerBound + distance)..<(content.upperBound + distance), isAttachment: isAttachment)
        }
    }

    let frames: ByteBuffer
    let treatment: WaitTreatment
    private let firstPart: Part
    /// Empty for most packets, so that they need no array.
    private let furtherParts: [Part]

    var partCount: Int { 1 + furtherParts.count }
    var byteCount: Int { frames.readableBytes }

    init(frames: ByteBuffer, firstPart: Part, furtherParts: [Part], treatment: WaitTreatment = .disconnect) {
        self.frames = frames
        self.treatment = treatment
        self.firstPart = firstPart
        self.furtherParts = furtherParts
    }

    /// One text packet.
    convenience init(text: UnsafeRawBufferPointer) {
        var frames = ByteBufferAllocator().buffer(capacity: text.count + 10)
        let part = unsafe PacketBuilder.appendFrame(text, to: &frames)
        self.init(frames: frames, firstPart: part, furtherParts: [])
    }

    /// `2`, `6` and `1`: an Engine.IO packet without payload.
    static func bare(_ type: EngineIOPacketType) -> EncodedPacket {
        unsafe withUnsafeBytes(of: type.rawValue) { unsafe EncodedPacket(text: $0) }
    }

    private func part(_ index: Int) -> Part? {
        index == 0 ? firstPart : furtherParts.indices.contains(index - 1) ? furtherParts[index - 1] : nil
    }

    /// The bytes of one part.
    func content(ofPart index: Int) -> ByteBuffer? {
        part(index).flatMap { frames.getSlice(at: $0.content.lowerBound, length: $0.content.count) }
    }

    /// The JSON array of the first event, which has no ack id: `42/chat,["x",1]`, `451-["x",{…}]`.
    func eventJSON(namespace: ByteString) -> ByteBufferView? {
        guard let text = content(ofPart: 0)?.readableBytesView.dropFirst(2) else { return nil }
        var json = text
        if part(1)?.isAttachment == true {
            guard let dash = json.firstIndex(of: UInt8(ascii: "-")) else { return nil }
            json = json[(dash + 1)...]
        }
        if namespace != SocketIOPacket.root { json = json.dropFirst(namespace.count + 1) }
        return json.first == UInt8(ascii: "[") ? json : nil
    }

    func partByteCount(_ index: Int) -> Int { part(index)?.content.count ?? 0 }

    /// Appends one part to a polling payload: a text as it is, an attachment as `b` and base64.
    func appendPart(_ index: Int, to payload: inout ByteBuffer) {
        guard let part = part(index),
            let content = frames.getSlice(at: part.content.lowerBound, length: part.content.count)
        else { return }
        if part.isAttachment {
            payload.writeInteger(UInt8(ascii: "b"))
            unsafe content.withUnsafeReadableBytes {
                unsafe Base64.withEncoded($0) { _ = unsafe payload.writeBytes($0) }
            }
        } else {
            payload.writeImmutableBuffer(content)
        }
    }

    /// The packet without its first events.
    func dropFirst(events count: Int) -> EncodedPacket {
        var starts = 0
        let parts = (0..<partCount).compactMap { part($0) }.drop { part in
            if !part.isAttachment { starts += 1 }
            return starts <= count
        }
        guard let first = parts.first else { return self }
        let rest = frames.getSlice(at: first.frameStart, length: frames.writerIndex - first.frameStart)
        let moved = parts.map { $0.moved(by: -first.frameStart) }
        return EncodedPacket(
            frames: rest ?? ByteBuffer(), firstPart: moved[0], furtherParts: Array(moved.dropFirst()),
            treatment: treatment)
    }

    /// The packet with an offset as one more argument of its only event.
    func adding(_ offset: RecoveryOffset) -> EncodedPacket {
        let end = firstPart.content.upperBound
        guard let text = frames.getSlice(at: firstPart.content.lowerBound, length: firstPart.content.count),
            var attachments = frames.getSlice(at: end, length: frames.writerIndex - end)
        else { return self }
        var frames = ByteBufferAllocator().buffer(
            capacity: byteCount + RecoveryOffset.bytesInEvent + WebSocketFrameHeader.maximumBytes)
        let first = unsafe text.withUnsafeReadableBytes {
            unsafe PacketBuilder.appendFrame($0, offset: offset, to: &frames)
        }
        let distance = frames.writerIndex - end
        frames.writeBuffer(&attachments)
        return EncodedPacket(
            frames: frames, firstPart: first, furtherParts: furtherParts.map { $0.moved(by: distance) },
            treatment: treatment)
    }

    /// The packet with another offset as the last argument of its only event, which has one.
    func replacing(_ offset: RecoveryOffset) -> EncodedPacket {
        var frames = frames
        let start = firstPart.content.upperBound - 2 - RecoveryOffset.length
        unsafe frames.withUnsafeMutableReadableBytes { bytes in
            guard start >= 0, start + RecoveryOffset.length <= bytes.count else { return }
            unsafe offset.write(
                to: UnsafeMutableRawBufferPointer(rebasing: bytes[start..<(start + RecoveryOffset.length)]))
        }
        return EncodedPacket(frames: frames, firstPart: firstPart, furtherParts: furtherParts, treatment: treatment)
    }

    /// The websocket frames from one part on; all of them for 0.
    func frames(from index: Int) -> ByteBuffer {
        guard index > 0, let part = part(index) else { return frames }
        return frames.getSlice(at: part.frameStart, length: frames.writerIndex - part.frameStart) ?? ByteBuffer()
    }
}
