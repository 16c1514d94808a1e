import Bytes
import NIOCore
import PubSubMessages
import RedisPubSub

/// The router as other event loops hold it: every call hops to the router's loop.
final class RouterReference: Sendable {
    let loopCount: Int
    private let router: NIOLoopBound<Router>

    /// Must be created on the router's loop.
    init(_ router: Router) {
        loopCount = router.loopCount
        self.router = NIOLoopBound(router, eventLoop: router.eventLoop)
    }

    func isLocal(to eventLoop: any EventLoop) -> Bool { router.eventLoop === eventLoop }

    func roomChanged(namespace: ByteString, room: ByteString?, isAlive: Bool, loop: Int) {
        router.eventLoop.execute { [router] in
            router.value.rooms.add(isAlive ? 1 : -1, namespace: namespace, room: room, loop: loop)
        }
    }

    /// An `enter_room` was carried out: undoes the provisional interest that `route` added, since the shard has reported the room.
    func enterPerformed(namespace: ByteString, room: ByteString, loop: Int) {
        router.eventLoop.execute { [router] in
            router.value.rooms.add(-1, namespace: namespace, room: room, loop: loop)
        }
    }

    /// An event loop has looked up a room for the canary.
    func canaryReached(_ id: Int64, loop: Int) {
        router.eventLoop.execute { [router] in router.value.canaries.reached(id, loop: loop) }
    }

    /// Sends an extra canary; its id, or nil if none could be sent.
    func sendCanary() -> EventLoopFuture<Int64?> {
        router.eventLoop.submit { [router] in router.value.sendCanary() }
    }

    /// Runs `body` on `eventLoop` after the router has handled everything this loop reported before.
    func roundTrip(to eventLoop: any EventLoop, _ body: @escaping @Sendable () -> Void) {
        router.eventLoop.execute { eventLoop.execute(body) }
    }

    /// The error of an emit that isn't published, or nil.
    enum Emitted {
        /// On the router's own loop.
        case now(RedisError?)
        case later(EventLoopFuture<RedisError?>)
    }

    func emit(_ emit: OwnEmit) throws -> Emitted {
        let eventLoop = router.eventLoop
        guard eventLoop.inEventLoop else {
            return .later(eventLoop.submit { [router] in try router.value.emit(emit) })
        }
        return .now(try router.value.emit(emit))
    }

    /// As `emit`, with a report.
    ///
    /// - Parameter payload: a message in the form that is published.
    func emitReporting(_ payload: [UInt8]) -> EventLoopFuture<EmitReport> {
        router.eventLoop.flatSubmit { [router] in
            do {
                return try router.value.emitReporting(payload)
            } catch {
                return router.eventLoop.makeFailedFuture(error)
            }
        }
    }

    func publishAck(to address: CallbackAddress, json: [UInt8], attachments: [[UInt8]]) {
        router.eventLoop.execute { [router] in
            router.value.publisher.publishAck(to: address, json: json, attachments: attachments)
        }
    }

    /// The secrets that open a room-space; fails if they can't be known.
    func roomSecrets(of space: ByteString) -> EventLoopFuture<[ByteBuffer]> {
        examineRoomSecrets(of: space).flatMapThrowing { try $0.usable() }
    }

    /// The secrets of a room-space and their problems.
    func examineRoomSecrets(of space: ByteString) -> EventLoopFuture<RoomSecrets> {
        router.eventLoop.flatSubmit { [router] in router.value.secrets.secrets(of: space) }
    }

    func secretDiffersByLineFeed(in space: ByteString) {
        router.eventLoop.execute { [router] in router.value.secrets.secretDiffersByLineFeed(in: space) }
    }

    func hasSocket(_ sid: ByteString, in namespace: ByteString, loop: Int) -> EventLoopFuture<Bool> {
        router.eventLoop.flatSubmit { [router] in router.value.hasSocket(sid, in: namespace, loop: loop) }
    }

    func start(shards: [NIOLoopBound<Shard>]) -> EventLoopFuture<Void> {
        router.eventLoop.submit { [router] in router.value.start(shards: shards) }
    }

    func numbers() -> EventLoopFuture<RouterNumbers> {
        router.eventLoop.submit { [router] in router.value.numbers() }
    }

    func shutdown() -> EventLoopFuture<Void> {
        router.eventLoop.flatSubmit { [router] in router.value.shutdown() }
    }
}
