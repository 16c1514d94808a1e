import Bytes
import Glibc
import Logging
import NIOCore
import NIOPosix
import PubSubMessages
import RedisPubSub

@testable import Bridge

/// One event loop's bridge without Redis and listener. Everything here is called on the loop.
final class BenchedBridge {
    let router: Router
    let shard: Shard
    private var clients: [CInt] = []
    private var drain = [UInt8](repeating: 0, count: 1 << 16)

    init(eventLoop: any EventLoop) {
        var configuration = BridgeConfiguration()
        // Nothing happens by time.
        configuration.timing.pingInterval = .seconds(36_000)
        configuration.timing.connectTimeout = .seconds(36_000)
        configuration.canaryInterval = nil
        configuration.maxRoomsPerSocket = 1_000_000
        let logger = Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }
        router = Router(
            broker: LocalBroker(eventLoop: eventLoop), configuration: configuration,
            hostID: "0123456789abcdef0123456789abcdef", loopCount: 1,
            readiness: Readiness(loopCount: 1, configuration: configuration),
            metrics: BridgeMetrics(), logger: logger)
        shard = Shard(
            eventLoop: eventLoop, loopIndex: 0, configuration: configuration, router: RouterReference(router),
            allConnections: OpenConnections(limit: configuration.maxConnections), logger: logger)
        shard.start()
        router.start(shards: [NIOLoopBound(shard, eventLoop: eventLoop)])
    }

    /// A socket that nothing is written to: its client polls, and hasn't.
    func makeSocket() -> Socket {
        shard.registry.connect(
            shard.openSession(transport: .polling), to: "/", sid: SessionID.make(loop: 0, instance: .init(value: 1)))
    }

    /// Websockets are read and written as in a server.
    func start() throws -> EventLoopFuture<Void> { try shard.startEpollLoop(try EpollWaker(loopCount: 1), loopIndex: 0) }

    /// A websocket over TCP whose client has connected to `/` and joined the room.
    func openWebSocket(in room: StaticString) {
        let (server, client) = Self.connectedPair()
        clients.append(client)
        _ = fcntl(server, F_SETFL, O_NONBLOCK)
        shard.adopt(
            UpgradedConnection(descriptor: OwnedDescriptor(server), handshakeResponse: ByteBuffer(), unread: ByteBuffer()), for: .newSession)
        for text in ["40", "42[\"join\",{\"room\":\"\(room)\"}]"] {
            // A mask of zeros leaves the text as it is.
            let frame = [0x81, 0x80 | UInt8(text.utf8.count), 0, 0, 0, 0] + Array(text.utf8)
            _ = frame.withUnsafeBytes { send(client, $0.baseAddress, $0.count, 0) }
        }
    }

    func sockets(in room: ByteString) -> [Socket] {
        shard.registry.namespaces["/"]?.rooms[room]?.members.map(\.socket) ?? []
    }

    func memberCount(of room: ByteString) -> Int { sockets(in: room).count }

    /// Takes what the websockets' clients have been sent.
    func readAll() {
        for client in clients { while recv(client, &drain, drain.count, CInt(MSG_DONTWAIT)) > 0 {} }
    }

    private static func connectedPair() -> (CInt, CInt) {
        let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let client = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        let failed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) != 0 || listen(listener, 1) != 0
                    || getsockname(listener, address, &length) != 0 || connect(client, address, length) != 0
            }
        }
        let server = accept(listener, nil, nil)
        close(listener)
        // As the server's listener does; without it the kernel would collect the frames.
        var yes: CInt = 1
        setsockopt(server, CInt(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<CInt>.size))
        precondition(!failed && server >= 0, "no connection over loopback")
        return (server, client)
    }
}
