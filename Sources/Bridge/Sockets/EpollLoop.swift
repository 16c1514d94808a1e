import CEpoll
import Glibc
import NIOCore
import NIOPosix

/// What an epoll instance watches.
class EpollSource {
    /// -1 when it is not this object's any more.
    fileprivate(set) final var descriptor: CInt
    /// The number that stands in its events.
    fileprivate final var slot = -1

    init(_ descriptor: CInt) { self.descriptor = descriptor }

    /// Something can be read, or sent again. It may be called in vain.
    func ready(canSend: Bool) {}

    /// The server stops.
    func close() {}
}

/// The sockets of one event loop that are read and written without NIO, and the epoll instance that watches them.
///
/// NIO's channels carry HTTP, and websockets have none: a channel takes 2.8 kB, a `DirectSocket` some hundred bytes. What one
/// turn of the loop does is bounded here, so that ten thousand clients which want something at once don't hold up messages
/// for others.
final class EpollLoop {
    unowned let shard: Shard
    private let waker: EpollWaker
    private let loopIndex: Int
    private let epoll: CInt
    private let events = UnsafeMutableBufferPointer<epoll_event>.allocate(capacity: 32)
    /// By their slots.
    private var sources: [EpollSource?] = []
    private var freeSlots: [Int] = []
    private var paused: [EpollSource] = []
    /// What one read takes, of whichever socket.
    private var received = ByteBuffer()
    private var channel: (any Channel)?

    /// How long the sockets may be worked for before others have their turn: a message that comes meanwhile waits that long.
    static let turnLimit = TimeAmount.milliseconds(2)
    /// Bytes read from one socket before others have their turn: a thousand small packets' work.
    private static let readLimit = 16 << 10

    init(shard: Shard, waker: EpollWaker, loopIndex: Int) throws(IOError) {
        self.shard = shard
        self.waker = waker
        self.loopIndex = loopIndex
        epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw IOError(errnoCode: errno, reason: "making an epoll instance") }
        try waker.add(epoll, loop: loopIndex)
    }

    deinit {
        if epoll >= 0 { close(epoll) }
        events.deallocate()
    }

    /// Goes to the door when it rings, until `stop`.
    func start() throws -> EventLoopFuture<Void> {
        let descriptor = try waker.duplicateWakeup(loopIndex)
        let epollLoop = NIOLoopBound(self, eventLoop: shard.eventLoop)
        return NIOPipeBootstrap(group: shard.eventLoop)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 16))
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(WakeupHandler(epollLoop: epollLoop.value))
                }
            }
            .takingOwnershipOfDescriptor(input: descriptor)
            .map { channel in
                epollLoop.value.channel = channel
                epollLoop.value.arm()
            }
            .flatMapErrorThrowing { error in
                // Still ours then.
                Glibc.close(descriptor)
                throw error
            }
    }

    /// Ends with all sockets that are still there.
    func stop() {
        channel?.close(promise: nil)
        channel = nil
        for descriptor in sources { descriptor?.close() }
    }

    private final class WakeupHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let epollLoop: EpollLoop

        init(epollLoop: EpollLoop) { self.epollLoop = epollLoop }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { epollLoop.turn() }
    }

    private func arm() { waker.arm(epoll, loop: loopIndex) }

    /// Serves the sockets that are ready.
    private func turn() {
        let end = NIODeadline.now() + Self.turnLimit
        repeat {
            let count = Int(epoll_wait(epoll, events.baseAddress, CInt(events.count), 0))
            guard count > 0 else { return arm() }
            for event in events.prefix(count) {
                // One that was closed by what came before leaves its slot empty, or to a source, who looks in vain.
                sources[Int(event.data.u64)]?.ready(canSend: event.events & EPOLLOUT.rawValue != 0)
            }
            shard.flush()
        } while NIODeadline.now() < end
        waker.wake(loopIndex)
    }

    // MARK: Sockets

    /// Watches a descriptor for what comes in; closes it when this fails.
    func add(_ source: EpollSource) throws(IOError) {
        let slot = freeSlots.popLast() ?? sources.count
        if slot == sources.count { sources.append(nil) }
        source.slot = slot
        guard control(EPOLL_CTL_ADD, source, EPOLLIN.rawValue) else {
            let error = errno
            freeSlots.append(slot)
            Glibc.close(source.descriptor)
            throw IOError(errnoCode: error, reason: "watching a connection")
        }
        sources[slot] = source
    }

    func watch(_ socket: DirectSocket, forSpace: Bool) {
        _ = control(EPOLL_CTL_MOD, socket, EPOLLIN.rawValue | (forSpace ? EPOLLOUT.rawValue : 0))
    }

    /// Lets a descriptor be until `resume`.
    func pause(_ descriptor: EpollSource) {
        paused.append(descriptor)
        _ = control(EPOLL_CTL_MOD, descriptor, 0)
    }

    func resume() {
        for descriptor in paused where descriptor.descriptor >= 0 {
            _ = control(EPOLL_CTL_MOD, descriptor, EPOLLIN.rawValue)
        }
        paused.removeAll()
    }

    /// Forgets a descriptor, whose next owner is who asks.
    func release(_ source: EpollSource) -> CInt {
        _ = control(EPOLL_CTL_DEL, source, 0)
        return forget(source)
    }

    /// Forgets a descriptor that is closed next, which takes it out of the epoll instance.
    func forget(_ source: EpollSource) -> CInt {
        sources[source.slot] = nil
        freeSlots.append(source.slot)
        defer { source.descriptor = -1 }
        return source.descriptor
    }

    private func control(_ operation: CInt, _ source: EpollSource, _ interest: UInt32) -> Bool {
        var event = epoll_event()
        event.events = interest
        event.data.u64 = UInt64(source.slot)
        return epoll_ctl(epoll, operation, source.descriptor, &event) == 0
    }

    /// What a socket has received: nil when nothing is there, no bytes at the end of the stream.
    ///
    /// The buffer is used again for the next read.
    func receive(from socket: DirectSocket) throws(IOError) -> ByteBuffer? {
        received.clear()
        var error: CInt = 0
        let count = received.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.readLimit) { bytes in
            let count = recv(socket.descriptor, bytes.baseAddress, bytes.count, CInt(MSG_DONTWAIT))
            error = count < 0 ? errno : 0
            return max(0, count)
        }
        guard count == 0, error != 0 else { return received }
        if error == EAGAIN || error == EINTR { return nil }
        throw IOError(errnoCode: error, reason: "reading a connection")
    }
}
