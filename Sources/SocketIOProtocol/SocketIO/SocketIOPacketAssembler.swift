/// Joins a binary packet with the attachments that follow it on the same transport.
package struct SocketIOPacketAssembler: Sendable {
    /// A packet with all of its attachments.
    package struct Message: Equatable, Sendable {
        package var packet: SocketIOPacket
        package var attachments: [[UInt8]]
    }

    private var waiting: Message?
    private var waitingBytes = 0
    /// Bytes of attachments that one packet may collect.
    package let maximumBytes: Int
    /// Bytes of a packet that waits for attachments.
    package var unfinishedBytes: Int { waiting.map { $0.packet.json.count + waitingBytes } ?? 0 }

    package init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// - Returns: the message that this packet completes; nil while attachments are missing.
    package mutating func received(_ message: EngineIOPacket) throws(SocketIOError) -> Message? {
        message.isBinary ? try receivedAttachment(message.payload) : try receivedText(message.payload)
    }

    private mutating func receivedText(_ text: ArraySlice<UInt8>) throws(SocketIOError) -> Message? {
        guard waiting == nil else { throw .missingAttachments }
        let packet = try SocketIOPacket(text)
        let message = Message(packet: packet, attachments: [])
        if packet.attachmentCount == 0 { return message }
        waiting = message
        waitingBytes = 0
        return nil
    }

    private mutating func receivedAttachment(_ bytes: ArraySlice<UInt8>) throws(SocketIOError) -> Message? {
        guard var message = waiting else { throw .unexpectedBinary }
        waitingBytes += bytes.count
        guard waitingBytes <= maximumBytes else { throw .tooManyAttachments }
        message.attachments.append(Array(bytes))
        if message.attachments.count == message.packet.attachmentCount {
            waiting = nil
            return message
        }
        waiting = message
        return nil
    }
}
