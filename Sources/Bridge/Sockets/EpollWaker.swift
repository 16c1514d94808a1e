import CEpoll
import Glibc
import NIOCore

/// Wakes event loops whose `EpollLoop` has sockets that are ready.
///
/// NIO watches only its own channels, and an epoll instance can't be a channel, since it can't be read. So one thread waits
/// for the epoll instances of all loops, and writes to the eventfd of a loop whose instance is ready; the loop reads the
/// eventfd as a channel. A loop that is awake polls its epoll instance itself, so that this thread stays asleep under load.
final class EpollWaker: Sendable {
    private let thread: WakerThread

    /// - Parameter startThread: starts the thread; a test fails here.
    init(loopCount: Int, startThread: ThreadStarter = unsafe startDetachedThread) throws(IOError) {
        thread = try WakerThread(loopCount: loopCount)
        try unsafe thread.startThread(startThread)
    }

    typealias ThreadFunction = @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
    /// Runs a function with its argument on a new thread. Returns 0 or an error number, as pthread_create(3).
    typealias ThreadStarter = (ThreadFunction, UnsafeMutableRawPointer) -> CInt

    static func startDetachedThread(_ function: ThreadFunction, _ argument: UnsafeMutableRawPointer) -> CInt {
        var thread = pthread_t()
        let error = unsafe pthread_create(&thread, nil, function, argument)
        if error == 0 { pthread_detach(thread) }
        return error
    }

    /// Ends the thread, which closes its descriptors.
    deinit { thread.stop() }

    /// A duplicate of the loop's eventfd, for the loop to read; the caller closes it.
    func duplicateWakeup(_ index: Int) throws(IOError) -> CInt {
        let descriptor = fcntl(thread.wakeups[index], F_DUPFD_CLOEXEC, 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "duplicating a wake-up") }
        return descriptor
    }

    /// Adds a loop's epoll instance; it wakes the loop after the next `arm`.
    func add(_ epoll: CInt, loop index: Int) throws(IOError) {
        guard thread.control(EPOLL_CTL_ADD, epoll, loop: index, events: 0) else {
            throw IOError(errnoCode: errno, reason: "watching an epoll instance")
        }
    }

    /// Wakes the loop once, as soon as the epoll instance is ready.
    func arm(_ epoll: CInt, loop index: Int) {
        _ = thread.control(EPOLL_CTL_MOD, epoll, loop: index, events: EPOLLIN.rawValue | EPOLLONESHOT.rawValue)
    }

    /// Wakes the loop unconditionally: it continues after its other tasks.
    func wake(_ index: Int) { eventfd_write(thread.wakeups[index], 1) }
}

/// The thread and its descriptors. They stay open while the thread or the waker refers to this object, so that none of their
/// numbers can be reused meanwhile.
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
        var event = unsafe epoll_event()
        unsafe event.events = events
        unsafe event.data.fd = index.map { wakeups[$0] } ?? stopping
        return unsafe epoll_ctl(epoll, operation, descriptor, &event) == 0
    }

    func startThread(_ start: EpollWaker.ThreadStarter) throws(IOError) {
        let thread = unsafe Unmanaged.passRetained(self)
        let error = unsafe start(
            { thread in
                if let thread = unsafe thread {
                    unsafe Unmanaged<WakerThread>.fromOpaque(thread).takeRetainedValue().serve()
                }
                return nil
            }, unsafe thread.toOpaque())
        guard error == 0 else {
            unsafe thread.release()
            throw IOError(errnoCode: error, reason: "starting the waker's thread")
        }
    }

    func stop() { eventfd_write(stopping, 1) }

    private func serve() {
        var event = unsafe epoll_event()
        while true {
            guard unsafe epoll_wait(epoll, &event, 1, -1) > 0 else { continue }
            if unsafe event.data.fd == stopping { return }
            unsafe eventfd_write(event.data.fd, 1)
        }
    }
}
