import CEpoll
import Glibc
import NIOCore

/// Accepts connections on the first event loop and gives them to all loops in turn.
final class ListeningSocket<Host: ConnectionHost>: EpollSource {
    private let epollLoop: EpollLoop
    private let hosts: [NIOLoopBound<Host>]
    private let endpoints: any HTTPRequestHandler
    private var next = 0

    /// Connections accepted in one turn; more wait for the next.
    private static var turnLimit: Int { 32 }

    /// - Parameter descriptor: bound, listening and non-blocking; closed in the end or when this throws.
    init(
        _ descriptor: CInt, epollLoop: EpollLoop, hosts: [NIOLoopBound<Host>], endpoints: any HTTPRequestHandler
    ) throws(IOError) {
        self.epollLoop = epollLoop
        self.hosts = hosts
        self.endpoints = endpoints
        super.init(descriptor)
        try epollLoop.add(self)
    }

    override func ready(canSend: Bool) {
        for _ in 0..<Self.turnLimit {
            let descriptor = accept4(
                self.descriptor, nil, nil, CInt(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
            guard descriptor >= 0 else {
                switch errno {
                case EAGAIN: return
                // The client has gone already, or the network had an error (accept(2)).
                case EINTR, ECONNABORTED, EPROTO, ENOPROTOOPT, ENETDOWN, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH: continue
                default: return pause(errno)
                }
            }
            give(OwnedDescriptor(descriptor))
        }
    }

    private func give(_ descriptor: OwnedDescriptor) {
        let host = hosts[next % hosts.count]
        next &+= 1
        if host.eventLoop.inEventLoop { return host.value.accept(descriptor, for: endpoints) }
        host.eventLoop.execute { [endpoints] in host.value.accept(descriptor, for: endpoints) }
    }

    /// Out of descriptors or memory: clients that connect wait until the next check of the deadlines.
    private func pause(_ error: CInt) {
        epollLoop.host.acceptsPaused(IOError(errnoCode: error, reason: "accepting a connection"))
        epollLoop.pause(self)
    }

    override func close() {
        guard descriptor >= 0 else { return }
        Glibc.close(epollLoop.forget(self))
    }
}
