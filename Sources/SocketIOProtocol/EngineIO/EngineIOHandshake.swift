import Bytes

/// The OPEN packet, the first that a server sends.
///
/// `0{"sid":"...","upgrades":["websocket"],"pingTimeout":20000,"pingInterval":25000,"maxPayload":1000000}`, times in
/// milliseconds. Source: Engine.IO protocol v4, section "Handshake".
package enum EngineIOHandshake {
    package static func openPacket(
        sid: ByteString, transport: EngineIORequest.Transport, timing: EngineIOTiming, maxPayload: Int
    ) -> [UInt8] {
        var writer = JSONWriter(capacity: 160)
        writer.append(EngineIOPacketType.open.rawValue)
        writer.append("{\"sid\":")
        unsafe sid.withUnsafeBytes { unsafe writer.appendString(wtf8: $0) }
        writer.append(transport == .polling ? ",\"upgrades\":[\"websocket\"]" : ",\"upgrades\":[]")
        writer.append(",\"pingTimeout\":")
        writer.appendInteger(timing.pingTimeout.milliseconds)
        writer.append(",\"pingInterval\":")
        writer.appendInteger(timing.pingInterval.milliseconds)
        writer.append(",\"maxPayload\":")
        writer.appendInteger(Int64(maxPayload))
        writer.append("}")
        return writer.copyBytes()
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
