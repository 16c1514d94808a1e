import Bytes

/// The packet types of Socket.IO v5; the raw value is the digit on the wire.
package enum SocketIOPacketType: UInt8, Sendable {
    case connect = 0x30
    case disconnect, event, ack, connectError, binaryEvent, binaryAck
}

/// One Socket.IO packet as a client sends it: `<type>[<attachments>-][<namespace>,][<ack id>][JSON]`.
///
/// Source: Socket.IO protocol v5, section "Packet encoding".
package struct SocketIOPacket: Equatable, Sendable {
    package var type: SocketIOPacketType
    /// Attachments that follow as binary packets of their own; 0 unless the type is binary.
    package var attachmentCount: Int
    /// `/` if the packet names none; a query in it is dropped, as the reference servers do.
    package var namespace: ByteString
    package var ackID: Int?
    /// The JSON text, not yet parsed; empty if the packet has none.
    package var json: ArraySlice<UInt8>

    package static let root: ByteString = "/"
    /// Packets with more attachments are refused: no event that a client sends here needs them.
    package static let maximumAttachments = 256

    package init(_ text: ArraySlice<UInt8>) throws(SocketIOError) {
        guard let first = text.first, let type = SocketIOPacketType(rawValue: first) else { throw .unknownType }
        self.type = type
        var rest = text.dropFirst()
        attachmentCount = 0
        if type == .binaryEvent || type == .binaryAck {
            guard let count = Self.takeNumber(&rest), rest.first == UInt8(ascii: "-") else { throw .attachmentCount }
            guard count <= Self.maximumAttachments else { throw .tooManyAttachments }
            attachmentCount = count
            rest = rest.dropFirst()
        }
        namespace = Self.takeNamespace(&rest)
        ackID = nil
        if let digit = rest.first, Self.isDigit(digit) {
            guard let number = Self.takeNumber(&rest) else { throw .ackID }
            ackID = number
        }
        json = rest
        try checkShape()
    }

    private func checkShape() throws(SocketIOError) {
        let first = json.first { !Self.isSpace($0) }
        switch type {
        case .connect: guard first == nil || first == UInt8(ascii: "{") else { throw .payload }
        case .disconnect: guard first == nil else { throw .payload }
        case .event, .binaryEvent: guard first == UInt8(ascii: "[") else { throw .payload }
        case .ack, .binaryAck: guard first == UInt8(ascii: "["), ackID != nil else { throw .payload }
        case .connectError: throw .payload  // only servers send it
        }
    }

    private static func takeNamespace(_ rest: inout ArraySlice<UInt8>) -> ByteString {
        guard rest.first == UInt8(ascii: "/") else { return root }
        let end = rest.firstIndex(of: UInt8(ascii: ",")) ?? rest.endIndex
        let full = rest[rest.startIndex..<end]
        rest = rest[end...].dropFirst()
        return ByteString(bytes: full.prefix { $0 != UInt8(ascii: "?") })
    }

    /// Reads a number that is exact in JavaScript too, at most 2^53 - 1; nil if there is none or it is greater.
    private static func takeNumber(_ rest: inout ArraySlice<UInt8>) -> Int? {
        guard let first = rest.first, isDigit(first) else { return nil }
        var value = 0
        while let byte = rest.first, isDigit(byte) {
            value = value * 10 + Int(byte - 0x30)
            guard value < 1 << 53 else { return nil }
            rest = rest.dropFirst()
        }
        return value
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}

/// Reasons why bytes are no Socket.IO packet that a client may send.
package enum SocketIOError: Error, Equatable, CustomStringConvertible {
    case unknownType, attachmentCount, tooManyAttachments, ackID, payload
    case unexpectedBinary, missingAttachments, json

    package var description: String {
        switch self {
        case .unknownType: "unknown Socket.IO packet type"
        case .attachmentCount: "a binary packet without its number of attachments"
        case .tooManyAttachments: "more than \(SocketIOPacket.maximumAttachments) attachments in one packet"
        case .ackID: "an ack id beyond 2^53 - 1"
        case .payload: "a payload that doesn't fit the packet type"
        case .unexpectedBinary: "an attachment that no packet announced"
        case .missingAttachments: "a text packet where an attachment was due"
        case .json: "a payload that is not JSON"
        }
    }
}
