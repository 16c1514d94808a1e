/// The packet types of Engine.IO v4; the raw value is the first character on the wire.
package enum EngineIOPacketType: UInt8, Sendable {
    case open = 0x30
    case close, ping, pong, message, upgrade, noop
}

/// One Engine.IO packet as a client sends it.
///
/// Wire spelling: a type digit and the payload (`4` + a Socket.IO packet); a binary websocket frame is a
/// message without a type digit. Source: Engine.IO protocol v4, section "Packet encoding".
package struct EngineIOPacket: Equatable, Sendable {
    package var type: EngineIOPacketType
    package var payload: ArraySlice<UInt8>
    package var isBinary: Bool

    package init(type: EngineIOPacketType, payload: ArraySlice<UInt8> = [], isBinary: Bool = false) {
        self.type = type
        self.payload = payload
        self.isBinary = isBinary
    }

    /// Reads a text packet: the content of a text frame or one part of a polling payload.
    package init(text: ArraySlice<UInt8>) throws(EngineIOError) {
        guard let first = text.first else { throw .emptyPacket }
        guard let type = EngineIOPacketType(rawValue: first) else { throw .unknownPacketType(first) }
        self.init(type: type, payload: text.dropFirst())
    }

    /// A binary frame, which is always a message.
    package init(binary: ArraySlice<UInt8>) {
        self.init(type: .message, payload: binary, isBinary: true)
    }
}

/// Reasons why bytes are no Engine.IO packet.
package enum EngineIOError: Error, Equatable, CustomStringConvertible {
    case emptyPacket
    case unknownPacketType(UInt8)
    case invalidBase64
    case invalidUTF8

    package var description: String {
        switch self {
        case .emptyPacket: "empty Engine.IO packet"
        case .unknownPacketType(let byte): "unknown Engine.IO packet type 0x" + String(byte, radix: 16)
        case .invalidBase64: "a polled attachment is not base64"
        case .invalidUTF8: "text that is not UTF-8"
        }
    }
}
