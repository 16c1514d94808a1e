import Bytes
import Logging
import NIOCore
import NIOEmbedded
import RedisPubSub

@testable import Bridge

/// One event loop's share of a bridge, without sockets: time and input come from the test.
final class BridgeHarness {
    static let hostID: ByteString = "0123456789abcdef0123456789abcdef"
    let eventLoop = EmbeddedEventLoop()
    let shard: Shard
    let router: RouterReference
    var configuration: BridgeConfiguration { shard.configuration }

    convenience init(_ configuration: BridgeConfiguration = BridgeConfiguration(), secrets: [[UInt8]: [UInt8]] = [:]) {
        self.init(configuration) { LocalBroker(eventLoop: $0, values: secrets) }
    }

    init(_ configuration: BridgeConfiguration, makeBroker: (any EventLoop) -> any PubSubBroker) {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let router = RouterReference(
            Router(
                broker: makeBroker(eventLoop), configuration: configuration,
                hostID: Self.hostID, loopCount: 1,
                readiness: Readiness(loopCount: 1, configuration: configuration),
                metrics: BridgeMetrics(), logger: logger))
        self.router = router
        shard = Shard(
            eventLoop: eventLoop, loopIndex: 0, configuration: configuration, router: router,
            allConnections: OpenConnections(
                limit: configuration.maxConnections, unfinishedLimit: configuration.unfinishedLimit),
            logger: logger)
        shard.start()
        _ = router.start(shards: [NIOLoopBound(shard, eventLoop: eventLoop)])
        eventLoop.run()
    }

    func makeSession() -> Session { shard.openSession(transport: .polling) }

    /// A socket in the namespace, of a session of its own.
    func makeSocket(in namespace: ByteString = "/") -> Socket {
        shard.registry.connect(makeSession(), to: namespace, sid: SessionID.make(loop: 0, instance: .init()))
    }

    private var lastPoll: UInt64 = 0

    /// Polls; nil while the poll waits.
    func poll(_ session: Session) -> PollResult {
        lastPoll += 1
        let result = PollResult()
        let promise = eventLoop.makePromise(of: HTTPResponse.self)
        promise.futureResult.assumeIsolated().whenSuccess { result.value = $0 }
        session.received(PendingPoll(id: lastPoll, jsonpIndex: nil, promise: promise))
        shard.flush()
        return result
    }

    func post(_ packets: String..., to session: Session) -> String {
        let body = Array(packets.joined(separator: "\u{1E}").utf8)
        let result = session.received(body: body[...])
        shard.flush()
        eventLoop.run()
        return String(buffer: result.body)
    }

    /// The response to a poll, once there is one.
    final class PollResult {
        fileprivate(set) var value: HTTPResponse?
        var text: String? { value.map { String(buffer: $0.body) } }
        var packets: [String] { (text ?? "").split(separator: "\u{1E}").map(String.init) }
    }
}
