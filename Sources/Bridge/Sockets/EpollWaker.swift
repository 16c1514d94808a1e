import CEpoll
import Glibc
import NIOCore

/// Wakes event loops for sockets that they watch beside NIO's own.
///
/// NIO watches nothing but its channels, and an epoll instance can't be one, since nobody reads from it. So one thread for all
/// loops sleeps on their epoll instances. Of each that is ready it rings the bell: an eventfd, which the loop has as a channel.
/// A loop that is awake asks its epoll instance itself, so that under load this thread goes on sleeping.
final class EpollWaker: Sendable {
    private let thread: WakerThread

    /// - Parameter loopCount: one for each event loop.
    init(loopCount: Int, startThread: ThreadStarter = startDetachedThread) throws(IOError) {
        thread = try WakerThread(loopCount: loopCount)
        try thread.startThread(startThread)
    }

    typealias ThreadFunction = @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
    /// Runs a function with its argument on a thread of its own; 0, or an error's number as `pthread_create(3)` gives it.
    typealias ThreadStarter = (ThreadFunction, UnsafeMutableRawPointer) -> CInt

    static func startDetachedThread(_ function: ThreadFunction, _ argument: UnsafeMutableRawPointer) -> CInt {
        var thread = pthread_t()
        let error = pthread_create(&thread, nil, function, argument)
        if error == 0 { pthread_detach(thread) }
        return error
    }

    /// The thread ends; it closes what it has.
    deinit { thread.stop() }

    /// A descriptor of its own for the loop to wait at; the caller closes it.
    func duplicateWakeup(_ index: Int) throws(IOError) -> CInt {
        let descriptor = fcntl(thread.wakeups[index], F_DUPFD_CLOEXEC, 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "duplicating a wake-up") }
        return descriptor
    }

    /// Lets an epoll instance ring a bell, once, from the next `listen` on.
    func add(_ epoll: CInt, loop index: Int) throws(IOError) {
        guard thread.control(EPOLL_CTL_ADD, epoll, loop: index, events: 0) else {
            throw IOError(errnoCode: errno, reason: "watching an epoll instance")
        }
    }

    /// Rings when the epoll instance becomes ready or is ready already.
    func arm(_ epoll: CInt, loop index: Int) {
        _ = thread.control(EPOLL_CTL_MOD, epoll, loop: index, events: EPOLLIN.rawValue | EPOLLONESHOT.rawValue)
    }

    /// Rings without waiting for anything: the loop comes back after what else it has to do.
    func wake(_ index: Int) { eventfd_write(thread.wakeups[index], 1) }
}

/// What the thread sees. Its descriptors are open for as long as somebody has this, the thread or who rings, so that no
/// bell's number can be anybody else's.
private final class WakerThread: Sendable {
    private let epoll: CInt
    private let stopping: CInt
    let wakeups: [CInt]

    init(loopCount: Int) throws(IOError) {
        epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
        let flags = CInt(EFD_CLOEXEC | EFD_NONBLOCK)
        stopping = eventfd(0, flags)
        wakeups = (0..<loopCount).map { _ in eventfd(0, flags) }
        let error = errno
        guard ([epoll, stopping] + wakeups).allSatisfy({ $0 >= 0 }),
            control(EPOLL_CTL_ADD, stopping, events: EPOLLIN.rawValue)
        else { throw IOError(errnoCode: error, reason: "making the event loops' wakeups") }
    }

    deinit {
        for descriptor in [epoll, stopping] + wakeups where descriptor >= 0 { close(descriptor) }
    }

    func control(_ operation: CInt, _ descriptor: CInt, loop index: Int? = nil, events: UInt32) -> Bool {
        var event = epoll_event()
        event.events = events
        event.data.fd = index.map { wakeups[$0] } ?? stopping
        return epoll_ctl(epoll, operation, descriptor, &event) == 0
    }

    func startThread(_ start: EpollWaker.ThreadStarter) throws(IOError) {
        let thread = Unmanaged.passRetained(self)
        let error = start(
            { thread in
                if let thread { Unmanaged<WakerThread>.fromOpaque(thread).takeRetainedValue().serve() }
                return nil
            }, thread.toOpaque())
        guard error == 0 else {
            thread.release()
            throw IOError(errnoCode: error, reason: "starting the waker's thread")
        }
    }

    func stop() { eventfd_write(stopping, 1) }

    private func serve() {
        var event = epoll_event()
        while true {
            guard epoll_wait(epoll, &event, 1, -1) > 0 else { continue }
            if event.data.fd == stopping { return }
            eventfd_write(event.data.fd, 1)
        }
    }
}
