import Bytes
import NIOCore
import PubSubMessages
import SocketIOProtocol

/// Collects events into one `EncodedPacket`.
struct PacketBuilder {
    private var frames: ByteBuffer
    private var firstPart: EncodedPacket.Part
    private var furtherParts: [EncodedPacket.Part] = []

    var byteCount: Int { frames.readableBytes }

    /// Starts with an event of a namespace. An ack id makes it a packet for one client.
    ///
    /// - Parameter offset: the position of the event for clients that recover; nil without recovery and in packets for one client.
    init(
        _ event: EncodedEvent, namespace: ByteString, ackID: Int? = nil, offset: RecoveryOffset? = nil,
        scratch: inout JSONWriter
    ) {
        Self.writeHead(of: event, namespace: namespace, ackID: ackID, to: &scratch)
        frames = unsafe ByteBufferAllocator().buffer(
            capacity: scratch.count + event.json.count
                + event.attachments.reduce(WebSocketFrameHeader.maximumBytes) { $0 + $1.count + 10 }
                + (offset == nil ? 0 : RecoveryOffset.bytesInEvent))
        firstPart = Self.appendText(event, head: scratch, offset, to: &frames)
        appendAttachments(of: event)
    }

    /// Adds another event.
    mutating func append(
        _ event: EncodedEvent, namespace: ByteString, offset: RecoveryOffset? = nil, scratch: inout JSONWriter
    ) {
        Self.writeHead(of: event, namespace: namespace, ackID: nil, to: &scratch)
        furtherParts.append(Self.appendText(event, head: scratch, offset, to: &frames))
        appendAttachments(of: event)
    }

    consuming func build(_ treatment: WaitTreatment = .disconnect) -> EncodedPacket {
        EncodedPacket(frames: frames, firstPart: firstPart, furtherParts: furtherParts, treatment: treatment)
    }

    private static func writeHead(
        of event: EncodedEvent, namespace: ByteString, ackID: Int?, to head: inout JSONWriter
    ) {
        head.removeAll()
        SocketIOPacketWriter.writeHead(
            event.attachments.isEmpty ? .event : .binaryEvent, attachmentCount: event.attachments.count,
            namespace: namespace, ackID: ackID, to: &head)
    }

    private static func appendText(
        _ event: EncodedEvent, head: borrowing JSONWriter, _ offset: RecoveryOffset?, to frames: inout ByteBuffer
    ) -> EncodedPacket.Part {
        unsafe head.withUnsafeBytes { unsafe appendFrame($0, event.json, offset: offset, to: &frames) }
    }

    private mutating func appendAttachments(of event: EncodedEvent) {
        for attachment in event.attachments {
            unsafe furtherParts.append(
                attachment.withUnsafeBytes { unsafe Self.appendFrame($0, isAttachment: true, to: &frames) })
        }
    }

    /// - Parameter offset: written as the last argument of the event, whose JSON array is `tail`.
    static func appendFrame(
        _ head: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer? = nil, isAttachment: Bool = false,
        offset: RecoveryOffset? = nil, to frames: inout ByteBuffer
    ) -> EncodedPacket.Part {
        let frameStart = frames.writerIndex
        let count = unsafe head.count + (tail?.count ?? 0) + (offset == nil ? 0 : RecoveryOffset.bytesInEvent)
        var start = frameStart
        // A single write: each write checks whether the buffer is shared.
        unsafe frames.writeWithUnsafeMutableBytes(minimumWritableBytes: WebSocketFrameHeader.maximumBytes + count) {
            target in
            let headerBytes = unsafe WebSocketFrameHeader.write(
                isAttachment ? .binary : .text, payloadBytes: count, to: target)
            start += headerBytes
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[headerBytes...]).copyMemory(from: head)
            if let tail = unsafe tail {
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[(headerBytes + head.count)...]).copyMemory(
                    from: tail)
            }
            if let offset {
                unsafe write(
                    offset,
                    toEndOf: UnsafeMutableRawBufferPointer(rebasing: target[headerBytes..<(headerBytes + count)]))
            }
            return headerBytes + count
        }
        return EncodedPacket.Part(
            frameStart: frameStart, content: start..<(start + count), isAttachment: isAttachment)
    }

    /// Writes `,"offset"]` over the bracket that closes the event's array, and the free bytes behind it.
    private static func write(_ offset: RecoveryOffset, toEndOf text: UnsafeMutableRawBufferPointer) {
        var index = text.count - RecoveryOffset.bytesInEvent - 1
        func append(_ byte: UInt8) {
            unsafe text[index] = byte
            index += 1
        }
        append(UInt8(ascii: ","))
        append(UInt8(ascii: "\""))
        unsafe offset.write(to: UnsafeMutableRawBufferPointer(rebasing: text[index...]))
        index += RecoveryOffset.length
        append(UInt8(ascii: "\""))
        append(UInt8(ascii: "]"))
    }
}
