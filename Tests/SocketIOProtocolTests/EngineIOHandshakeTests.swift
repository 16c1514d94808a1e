import Bytes
import Testing

@testable import SocketIOProtocol

@Suite struct EngineIOHandshakeTests {
    private static func openPacket(_ transport: EngineIORequest.Transport, _ timing: EngineIOTiming) -> String {
        String(
            decoding: EngineIOHandshake.openPacket(
                sid: "abc", transport: transport, timing: timing, maxPayload: 1_000_000),
            as: UTF8.self)
    }

    @Test func `polling offers the websocket, with python-engineio's defaults`() {
        #expect(
            Self.openPacket(.polling, EngineIOTiming())
                == #"0{"sid":"abc","upgrades":["websocket"],"pingTimeout":20000,"pingInterval":25000,"maxPayload":1000000}"#
        )
    }

    @Test func `a websocket offers nothing, and times are in milliseconds`() {
        var timing = EngineIOTiming()
        timing.pingInterval = .milliseconds(300)
        timing.pingTimeout = .seconds(1) + .milliseconds(5)
        #expect(
            Self.openPacket(.websocket, timing)
                == #"0{"sid":"abc","upgrades":[],"pingTimeout":1005,"pingInterval":300,"maxPayload":1000000}"#)
    }
}
