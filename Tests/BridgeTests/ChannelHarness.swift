import Bytes
import Logging
import NIOCore
import NIOEmbedded
import PubSubMessages

@testable import Bridge

/// A bridge whose Redis is the test: the test publishes messages, and reads the packets that clients get.
final class ChannelHarness {
    let eventLoops: [EmbeddedEventLoop]
    let broker: RecordingBroker
    let router: Router
    let reference: RouterReference
    let readiness: Readiness
    private let log = MessageRefusalLogTests.Lines()
    private(set) var shards: [Shard] = []

    init(loopCount: Int = 1, _ change: (inout BridgeConfiguration) -> Void = { _ in }) {
        var configuration = BridgeConfiguration()
        configuration.canaryInterval = nil
        change(&configuration)
        eventLoops = (0..<loopCount).map { _ in EmbeddedEventLoop() }
        broker = RecordingBroker(eventLoop: eventLoops[0])
        let lines = log
        let logger = Logger(label: "test") { _ in MessageRefusalLogTests.Recorder(lines: lines) }
        readiness = Readiness(loopCount: loopCount, configuration: configuration)
        router = Router(
            broker: broker, configuration: configuration, hostID: "0123456789abcdef0123456789abcdef",
            loopCount: loopCount, readiness: readiness, metrics: BridgeMetrics(),
            logger: logger)
        reference = RouterReference(router)
        for (index, eventLoop) in eventLoops.enumerated() {
            let shard = Shard(
                eventLoop: eventLoop, loopIndex: index, configuration: configuration, router: reference,
                allConnections: OpenConnections(limit: 100), logger: logger)
            shard.start()
            shards.append(shard)
        }
        router.start(shards: zip(shards, eventLoops).map { NIOLoopBound($0, eventLoop: $1) })
        run()
    }

    /// Runs all event loops until nothing is left to do for any of them.
    func run() {
        for _ in 0..<4 {
            for eventLoop in eventLoops { eventLoop.run() }
        }
    }

    /// Messages that Redis brings in one read.
    func publish(_ messages: [[UInt8]]) {
        let redisChannel = Array("flask-socketio".utf8)
        for message in messages {
            router.received(message.span, on: redisChannel.span)
        }
        router.receivedBatch()
        run()
    }

    func publish(_ messages: String...) { publish(messages.map { Array($0.utf8) }) }

    /// A message of python-socketio, with some of its members changed; nil leaves one out.
    static func message(_ changes: [String: String?] = [:]) -> String {
        let members = [
            "method": #""emit""#, "event": #""x""#, "data": "[1]", "binary": "false", "namespace": #""/""#,
            "room": "null",
            "skip_sid": "null", "callback": "null", "host_id": #""aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa""#,
        ].merging(changes.compactMapValues { $0 }) { $1 }.filter { changes[$0.key] != .some(nil) }
        return "{" + members.sorted { $0.key < $1.key }.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    func client(loop: Int = 0, in rooms: String..., namespace: String = "/") -> Client {
        Client(shards[loop], self, rooms, namespace)
    }

    var counters: RouterCounters { router.numbers().counters }
    var logged: [String] { log.all }
}

/// A page that polls.
final class Client {
    let session: Session
    private let shard: Shard
    private let harness: ChannelHarness
    private(set) var sid: ByteString = ""
    private var isWaiting = false
    private var received: [String] = []

    init(_ shard: Shard, _ harness: ChannelHarness, _ rooms: [String], _ namespace: String) {
        self.shard = shard
        self.harness = harness
        session = shard.sessions.open(.polling)
        let prefix = namespace == "/" ? "" : namespace + ","
        send("40" + prefix)
        sid = session.sockets.first?.sid ?? ""
        for room in rooms { send(#"42\#(prefix)["join",{"room":"\#(room)","gap":true}]"#) }
        _ = packets()
    }

    func send(_ packet: String) {
        _ = session.received(body: Array(packet.utf8)[...])
        shard.flush()
        harness.run()
    }

    /// The packets that arrived since the last call.
    func packets() -> [String] {
        repeat {
            poll()
            harness.run()
        } while !isWaiting && !session.isClosed
        defer { received = [] }
        return received
    }

    private func poll() {
        guard !isWaiting, !session.isClosed else { return }
        isWaiting = true
        let promise = shard.eventLoop.makePromise(of: HTTPResponse.self)
        promise.futureResult.assumeIsolated().whenSuccess { answer in
            self.isWaiting = false
            self.received += String(buffer: answer.body).split(separator: "\u{1E}").map(String.init)
        }
        session.received(PendingPoll(jsonpIndex: nil, promise: promise))
        shard.flush()
    }
}

extension CaseCounts {
    var total: Int { labelled.reduce(0) { $0 + $1.value } }
}
