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

    private func execute(_ body: @escaping @Sendable (Router) -> Void) {
        router.eventLoop.execute { [router] in body(router.value) }
    }

    private func submit<Value: Sendable>(
        _ body: @escaping @Sendable (Router) throws -> Value
    ) -> EventLoopFuture<Value> {
        router.eventLoop.submit { [router] in try body(router.value) }
    }

    private func flatSubmit<Value: Sendable>(
        _ body: @escaping @Sendable (Router) throws -> EventLoopFuture<Value>
    ) -> EventLoopFuture<Value> {
        submit(body).flatMap { $0 }
    }

    // MARK: Life

    func start(shards: [NIOLoopBound<Shard>]) -> EventLoopFuture<Void> { submit { $0.start(shards: shards) } }

    func shutdown() -> EventLoopFuture<Void> { flatSubmit { $0.shutdown() } }

    // MARK: Rooms

    func roomChanged(namespace: ByteString, room: ByteString?, isAlive: Bool, loop: Int) {
        execute { $0.rooms.add(isAlive ? 1 : -1, namespace: namespace, room: room, loop: loop) }
    }

    /// An `enter_room` was carried out: undoes the provisional interest that `route` added, since the shard has reported the room.
    func enterPerformed(namespace: ByteString, room: ByteString, loop: Int) {
        execute { $0.rooms.add(-1, namespace: namespace, room: room, loop: loop) }
    }

    /// Gives a join its place among the messages: the loop gets it back as a ``ShardCommand/join(_:)``.
    func join(_ join: Join, from eventLoop: any EventLoop, loop: Int) {
        if isLocal(to: eventLoop) { return router.value.join(join, loop: loop) }
        execute { router in
            router.join(join, loop: loop)
            router.outbox.flush()
        }
    }

    /// Sends the kept messages of rooms back to a loop, for its pages that asked about gaps.
    func giveKept(of rooms: Set<KeptMessages.RoomName>, loop: Int) {
        execute { router in
            router.giveKept(of: rooms, loop: loop)
            router.outbox.flush()
        }
    }

    func hasSocket(_ sid: ByteString, in namespace: ByteString, loop: Int) -> EventLoopFuture<Bool> {
        flatSubmit { $0.hasSocket(sid, in: namespace, loop: loop) }
    }

    /// Runs `body` on `eventLoop` after the router has handled everything this loop reported before.
    func roundTrip(to eventLoop: any EventLoop, _ body: @escaping @Sendable () -> Void) {
        execute { _ in eventLoop.execute(body) }
    }

    /// The number of kept messages of a room and the time of the oldest, in milliseconds since 1970.
    func keptSummary(of room: ByteString, in namespace: ByteString) -> EventLoopFuture<(count: Int, oldest: Int64)?> {
        submit { $0.keeper.store.summary(namespace: namespace, room: room) }
    }

    // MARK: Publishing

    /// The error of an emit that isn't published, or nil.
    enum Emitted {
        /// On the router's own loop.
        case now(RedisError?)
        case later(EventLoopFuture<RedisError?>)
    }

    func emit(_ payload: [UInt8]) throws -> Emitted {
        router.eventLoop.inEventLoop
            ? .now(try router.value.emit(payload)) : .later(submit { try $0.emit(payload) })
    }

    /// As `emit`, with a report.
    ///
    /// - Parameter payload: a message in the form that is published.
    func emitReporting(_ payload: [UInt8]) -> EventLoopFuture<EmitReport> {
        flatSubmit { try $0.emitReporting(payload) }
    }

    func publishAck(to address: CallbackAddress, json: [UInt8], attachments: [[UInt8]]) {
        execute { $0.publisher.publishAck(to: address, json: json, attachments: attachments) }
    }

    // MARK: Secrets

    /// The secrets that open a room-space; fails if they can't be known.
    func roomSecrets(of space: ByteString) -> EventLoopFuture<[ByteBuffer]> {
        examineRoomSecrets(of: space).flatMapThrowing { try $0.usable() }
    }

    /// The secrets of a room-space and their problems.
    func examineRoomSecrets(of space: ByteString) -> EventLoopFuture<RoomSecrets> {
        flatSubmit { $0.secrets.secrets(of: space) }
    }

    func secretDiffersByLineFeed(in space: ByteString) { execute { $0.secrets.secretDiffersByLineFeed(in: space) } }

    // MARK: Operations

    /// An event loop has looked up a room for the canary.
    func canaryReached(_ id: Int64, loop: Int) { execute { $0.canaries.reached(id, loop: loop) } }

    /// Sends an extra canary; its id, or nil if none could be sent.
    func sendCanary() -> EventLoopFuture<Int64?> { submit { $0.sendCanary() } }

    func numbers() -> EventLoopFuture<RouterNumbers> { submit { $0.numbers() } }
}
