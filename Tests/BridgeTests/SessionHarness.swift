import Bytes
import Logging
import NIOCore
import NIOEmbedded
import SocketIOProtocol

@testable import Bridge

/// The sessions of one event loop, without a router: the host acks every event with `[]`.
final class SessionHarness: SessionHost {
    let connections: ConnectionTable
    let table: SessionTable
    private(set) var refusals: [ClientRefusal.Cause] = []
    /// Events and acks that came in.
    private(set) var received: [String] = []
    private(set) var disconnected: [ByteString] = []
    /// Called by the test; nil as long as every room is routed at once.
    var waiting: [() -> Void]?

    init(_ change: (inout BridgeConfiguration) -> Void = { _ in }) {
        var configuration = BridgeConfiguration()
        change(&configuration)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let eventLoop = EmbeddedEventLoop()
        connections = ConnectionTable(
            eventLoop: eventLoop, configuration: configuration, total: OpenConnections(limit: 10), logger: logger)
        table = SessionTable(eventLoop: eventLoop, loopIndex: 0, configuration: configuration, logger: logger)
        table.host = self
    }

    /// A session whose client has connected to `/`.
    func connected() -> Session {
        let session = table.open(.polling)
        _ = session.post(["40"])
        _ = session.poll()
        return session
    }

    func flush() { table.flush() }
    func refused(_ refusal: ClientRefusal, by client: () -> Logger.Metadata) { refusals.append(refusal.cause) }
    func openSession(over webSocket: WebSocketConnection) -> (any WebSocketOwner)? { table.open(over: webSocket) }
    func isObjectOrEmpty(_ json: ArraySlice<UInt8>) throws(SocketIOError) -> Bool { json.first != UInt8(ascii: "[") }
    func recoveryRequest(in json: ArraySlice<UInt8>) throws(SocketIOError) -> RecoveryRequest? { nil }
    func recover(_ request: RecoveryRequest, for session: Session, namespace: ByteString) -> UInt64 { 0 }
    func movedSocketEnded(sid: ByteString, pid: ByteString) {}
    func received(_ event: SocketIOPacket, from socket: Socket) throws(SocketIOError) {
        received.append(String(decoding: event.json, as: UTF8.self))
        if let id = event.ackID { socket.acknowledge(id, "[]") }
    }
    func receivedAck(_ message: SocketIOPacketAssembler.Message, from socket: Socket) throws(SocketIOError) {
        received.append("ack " + String(decoding: message.packet.json, as: UTF8.self))
    }
    func disconnected(_ socket: Socket) { disconnected.append(socket.sid) }
    func whenRoutable(_ body: @escaping () -> Void) { if waiting == nil { body() } else { waiting?.append(body) } }
}

extension Session {
    /// The response to a poll, once there is one.
    final class PollResult {
        fileprivate(set) var value: HTTPResponse?
        var text: String? { value.map { String(buffer: $0.body) } }
        var packets: [String] { (text ?? "").split(separator: "\u{1E}").map(String.init) }
    }

    func poll() -> PollResult {
        let result = PollResult()
        let promise = table.eventLoop.makePromise(of: HTTPResponse.self)
        promise.futureResult.assumeIsolated().whenSuccess { result.value = $0 }
        received(PendingPoll(jsonpIndex: nil, promise: promise))
        table.flush()
        return result
    }

    func post(_ packets: [String]) -> String {
        let result = received(body: Array(packets.joined(separator: "\u{1E}").utf8)[...])
        table.flush()
        (table.eventLoop as? EmbeddedEventLoop)?.run()
        return String(buffer: result.body)
    }
}
