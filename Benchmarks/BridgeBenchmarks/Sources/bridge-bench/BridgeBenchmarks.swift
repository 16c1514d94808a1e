import Bytes
import NIOCore
import NIOPosix
import PickleCodec
import PubSubMessages
import SocketIOProtocol

@testable import Bridge

/// What each part of a message's path costs: `operation, parts, nanoseconds, times the reference, allocations` a line.
///
///     bridge-bench                  measures all
///     bridge-bench OPERATION COUNT  runs one so many times
@main
struct BridgeBenchmarks {
    static func main() throws {
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        let meter = Meter(arguments: CommandLine.arguments)
        let bench = try loop.submit { NIOLoopBound(BenchedBridge(eventLoop: loop), eventLoop: loop) }.wait()
        try loop.submit {
            if meter.includes("codec") { codec(meter) }
            if meter.includes("packet writer") { packetWriter(meter) }
            if meter.includes("room index", "router") { rooms(meter, bench.value) }
            if meter.includes("long poll") { polling(meter, bench.value) }
        }.wait()
        guard meter.includes("frame outlet", "whole path") else { return }
        try loop.flatSubmit { loop.makeCompletedFuture { try bench.value.start() }.flatMap { $0 } }.wait()
        try loop.submit { for _ in 0..<100 { bench.value.openWebSocket(in: "hundred") } }.wait()
        while try loop.submit({ bench.value.memberCount(of: "hundred") }).wait() < 100 {}
        try loop.submit { webSockets(meter, bench.value) }.wait()
    }

    /// The dict of an emit with a text of 100 bytes, as python-socketio 5.4 to 5.13 publish it.
    private static func pickle(room: String) throws -> [UInt8] {
        let message: PickleValue = [
            "method": "emit", "event": "update", "data": ["time": 1_700_000_000.25, "text": .string(filler)],
            "namespace": "/", "room": .string(room), "skip_sid": .null, "callback": .null, "host_id": .string(host),
        ]
        return try message.encoded()
    }

    /// The same as 5.14 and later do.
    private static func json(room: String) -> [UInt8] {
        Array(
            """
            {"method": "emit", "event": "update", "data": [{"time": 1700000000.25, "text": "\(filler)"}], "binary": false, \
            "namespace": "/", "room": "\(room)", "skip_sid": null, "callback": null, "host_id": "\(host)"}
            """.utf8)
    }

    private static let filler = String(repeating: "x", count: 100)
    private static let host = "4f2b7f9d3c6e4a5bb1d20c9e8f7ab5c1"

    private static func codec(_ meter: Meter) {
        guard let pickle = try? pickle(room: "time") else { fatalError("the pickle of the benchmark can't be written") }
        for (name, payload) in [("pickle", pickle), ("JSON", json(room: "time"))] {
            let decoder = PubSubMessageDecoder(hostID: "another")
            payload.withUnsafeBytes { payload in
                meter.measure("codec: route of a \(name)") { _ = try? decoder.decode(payload) }
                meter.measure("codec: route and event of a \(name)") {
                    _ = try? decoder.decode(payload)
                    _ = try? decoder.encodeEvent()
                }
            }
        }
    }

    private static func packetWriter(_ meter: Meter) {
        var scratch = JSONWriter(capacity: 256)
        let body = EventBody(json: Array(#"["update",{"time":1700000000.25,"text":"\#(filler)"}]"#.utf8))
        meter.measure("packet writer: one event") {
            body.withEncodedEvent { _ = PacketBuilder($0, namespace: "/", scratch: &scratch).build() }
        }
        meter.measure("packet writer: four events joined", units: 4) {
            body.withEncodedEvent { event in
                var builder = PacketBuilder(event, namespace: "/", scratch: &scratch)
                for _ in 0..<3 { builder.append(event, namespace: "/", scratch: &scratch) }
                _ = builder.build()
            }
        }
    }

    private static func rooms(_ meter: Meter, _ bench: BenchedBridge) {
        let registry = bench.shard.registry
        let keeper = bench.makeSocket()
        for number in 0..<100_000 { registry.enter(keeper, room: ByteString("room-\(number)")) }
        let (root, known, unknown) = (ByteString("/"), ByteString("room-77777"), ByteString("room-none"))
        meter.measure("room index: look up one of 100,000") {
            _ = bench.router.rooms.isAnyone(in: .these([known]), of: root, loop: 0)
            _ = bench.router.rooms.isAnyone(in: .these([unknown]), of: root, loop: 0)
        }
        let members = (0..<10_000).map { _ in bench.makeSocket() }
        for member in members { registry.enter(member, room: "large") }
        let newcomer = bench.makeSocket()
        meter.measure("room index: enter and leave one of 10,000") {
            registry.enter(newcomer, room: "large")
            registry.leave(newcomer, room: "large")
        }
        meter.measure("room index: fill and close a room, per member", units: 1000) {
            for member in members.prefix(1000) { registry.enter(member, room: "other") }
            registry.close(room: "other", namespace: "/")
        }
        guard let pickle = try? pickle(room: "room-none") else { return }
        for (name, payload) in [("pickle", pickle), ("JSON", json(room: "room-none"))] {
            meter.measure("router: \(name) for an empty room") {
                bench.router.received(payload.span, on: Span())
                bench.router.receivedBatch()
            }
        }
    }

    private static func polling(_ meter: Meter, _ bench: BenchedBridge) {
        let session = bench.shard.sessions.open(.polling)
        let packet = Array(#"42["update",1]"#.utf8).withUnsafeBytes { EncodedPacket(text: $0) }
        meter.measure("long poll: one packet queued and answered") {
            let promise = bench.shard.eventLoop.makePromise(of: HTTPResponse.self)
            session.received(PendingPoll(jsonpIndex: nil, promise: promise))
            session.enqueue(packet)
            bench.shard.flush()
        }
    }

    private static func webSockets(_ meter: Meter, _ bench: BenchedBridge) {
        let packet = Array(#"42["update",1]"#.utf8).withUnsafeBytes { EncodedPacket(text: $0) }
        let delivery = ShardCommand.deliver(
            Delivery(namespace: "/", rooms: .these(["hundred"]), skip: [], content: .packet(packet)))
        let (one, four) = ([delivery], Array(repeating: delivery, count: 4))
        var round = 0
        /// Empties the sockets before one is full; the cost is everybody's.
        func read() {
            round += 1
            if round % 8 == 0 { bench.readAll() }
        }
        meter.measure("frame outlet: one packet to 100, per delivery", units: 100) {
            bench.shard.perform(one)
            read()
        }
        meter.measure("frame outlet: four packets to 100, per delivery", units: 400) {
            bench.shard.perform(four)
            read()
        }
        guard let payload = try? pickle(room: "hundred") else { return }
        meter.measure("whole path: pickle to 100, per delivery", units: 100) {
            bench.router.received(payload.span, on: Span())
            bench.router.receivedBatch()
            read()
        }
        for (number, socket) in bench.sockets(in: "hundred").enumerated() {
            bench.shard.registry.enter(socket, room: ByteString("single-\(number)"))
        }
        let pickles = (0..<100).compactMap { try? pickle(room: "single-\($0)") }
        for (name, payloads) in [("pickles", pickles), ("JSON", (0..<100).map { json(room: "single-\($0)") })] {
            meter.measure("whole path: 100 \(name) to rooms of one, per delivery", units: 100) {
                for payload in payloads { bench.router.received(payload.span, on: Span()) }
                bench.router.receivedBatch()
                read()
            }
        }
    }
}
