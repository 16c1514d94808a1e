import CEpoll
import Glibc
import NIOCore
import NIOPosix

/// The owner of a descriptor that an epoll instance watches.
class EpollSource {
    /// -1 after it was closed or given away.
    fileprivate(set) final var descriptor: CInt
    /// Identifies it in events.
    fileprivate final var slot = -1

    /// Takes over the descriptor, and closes it in the end, also if a subclass's initialiser throws.
    init(_ descriptor: CInt) { self.descriptor = descriptor }

    deinit {
        if descriptor >= 0 { Glibc.close(descriptor) }
    }

    /// There may be bytes to read, or room to send. Sometimes called although there is neither.
    func ready(canSend: Bool) {}

    /// The server stops.
    func close() {}
}

/// The epoll instance of one event loop, for the sockets that are read and written without NIO.
///
/// HTTP goes over NIO's channels; websockets don't, since a channel takes 2.8 kB and a `DirectSocket` some hundred bytes.
/// The time spent per turn is bounded, so that ten thousand clients that send at once don't delay messages for others.
@safe final class EpollLoop {
    unowned let host: any ConnectionHost
    unowned let connections: ConnectionTable
    private let waker: EpollWaker
    private let loopIndex: Int
    private let epoll: CInt
    private let events = UnsafeMutableBufferPointer<epoll_event>.allocate(capacity: 32)
    /// Indexed by slot.
    private var sources: [EpollSource?] = []
    private var freeSlots: [Int] = []
    private var paused: [EpollSource] = []
    /// Receives the bytes of one read; shared by all sockets.
    private var received = ByteBuffer()
    private var channel: (any Channel)?

    init(host: any ConnectionHost, waker: EpollWaker, loopIndex: Int) throws(IOError) {
        self.host = host
        connections = host.connections
        self.waker = waker
        self.loopIndex = loopIndex
        epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw IOError(errnoCode: errno, reason: "making an epoll instance") }
        try waker.add(epoll, loop: loopIndex)
    }

    deinit {
        if epoll >= 0 { close(epoll) }
        unsafe events.deallocate()
    }

    /// Serves sockets whenever the waker wakes this loop, until `stop`.
    func start() throws -> EventLoopFuture<Void> {
        let descriptor = try waker.duplicateWakeup(loopIndex)
        let epollLoop = NIOLoopBound(self, eventLoop: connections.eventLoop)
        return NIOPipeBootstrap(group: connections.eventLoop)
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
                // NIO has not taken it over.
                Glibc.close(descriptor)
                throw error
            }
    }

    /// Closes all sockets that are left.
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
        let end = NIODeadline.now() + BridgeLimits.socketTurn
        repeat {
            let count = unsafe Int(epoll_wait(epoll, events.baseAddress, CInt(events.count), 0))
            guard count > 0 else { return arm() }
            for index in 0..<count {
                let event = unsafe events[index]
                // A source that an earlier event closed leaves its slot empty, or to a new source that finds nothing to read.
                unsafe sources[Int(event.data.u64)]?.ready(canSend: event.events & EPOLLOUT.rawValue != 0)
            }
            host.flush()
        } while NIODeadline.now() < end
        waker.wake(loopIndex)
    }

    // MARK: Sockets

    /// Watches a descriptor for incoming bytes.
    func add(_ source: EpollSource) throws(IOError) {
        let slot = freeSlots.popLast() ?? sources.count
        if slot == sources.count { sources.append(nil) }
        source.slot = slot
        guard control(EPOLL_CTL_ADD, source, EPOLLIN.rawValue) else {
            let error = errno
            freeSlots.append(slot)
            throw IOError(errnoCode: error, reason: "watching a connection")
        }
        sources[slot] = source
    }

    func watch(_ socket: DirectSocket, forSpace: Bool) {
        _ = control(EPOLL_CTL_MOD, socket, EPOLLIN.rawValue | (forSpace ? EPOLLOUT.rawValue : 0))
    }

    /// Ignores a descriptor until `resume`.
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

    /// Forgets a descriptor; the caller owns it from now on.
    func release(_ source: EpollSource) -> CInt {
        _ = control(EPOLL_CTL_DEL, source, 0)
        return forget(source)
    }

    /// Forgets a descriptor that the caller closes at once, which takes it out of the epoll instance.
    func forget(_ source: EpollSource) -> CInt {
        sources[source.slot] = nil
        freeSlots.append(source.slot)
        defer { source.descriptor = -1 }
        return source.descriptor
    }

    private func control(_ operation: CInt, _ source: EpollSource, _ interest: UInt32) -> Bool {
        var event = unsafe epoll_event()
        unsafe event.events = interest
        unsafe event.data.u64 = UInt64(source.slot)
        return unsafe epoll_ctl(epoll, operation, source.descriptor, &event) == 0
    }

    /// - Returns: the bytes received; nil if there are none, empty at the end of the stream. The next read reuses the
    ///   buffer.
    func receive(from socket: DirectSocket) throws(IOError) -> ByteBuffer? {
        received.clear()
        var error: CInt = 0
        let count = unsafe received.writeWithUnsafeMutableBytes(minimumWritableBytes: BridgeLimits.socketReadBytes) {
            bytes in
            let count = unsafe recv(socket.descriptor, bytes.baseAddress, bytes.count, CInt(MSG_DONTWAIT))
            error = count < 0 ? errno : 0
            return max(0, count)
        }
        guard count == 0, error != 0 else { return received }
        if error == EAGAIN || error == EINTR { return nil }
        throw IOError(errnoCode: error, reason: "reading a connection")
    }
}
